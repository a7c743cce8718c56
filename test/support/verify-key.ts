import { type DenialReason, type KeySet, matchKey } from "../../src/auth/keys.ts";

/** The name of the key that a presented value is, or why it is denied. */
export type Verification = { readonly name: string } | { readonly denied: DenialReason };

/** Checks a presented value at `now`, in ms since the epoch. */
export function verifyKey(set: KeySet, presented: string, now: number): Verification {
  const { key, denied } = matchKey(set, presented, () => now);
  if (key !== undefined && denied === undefined) return { name: key.name };
  return { denied: denied ?? "unknown" };
}
