import { isWellFormed } from "../auth/keys.ts";
import { KEYGEN } from "../keygen-command.ts";

/** The key in `.env.example`. It counts as weak, so that a copied example is not a secret. */
export const PLACEHOLDER_KEY = "change-me-run-npm-run-keygen";

/** A key between two quotes of one kind. */
const QUOTED = /^(["']).*\1$/;

/**
 * Says what is wrong with a plaintext key of the settings, and the remedy, without quoting it;
 * undefined if nothing is. A key is 1 to 256 visible ASCII characters. Quotes around it, or its
 * variable's name before it, are a mistake: Docker, for one, does not remove quotes in env files.
 */
export function plaintextKeyProblem(key: string): string | undefined {
  if (key === "") return `is empty: make a key with ${KEYGEN}`;
  if (!isWellFormed(key)) {
    return "must be at most 256 visible ASCII characters, without blanks or line ends";
  }
  if (QUOTED.test(key)) return "is in quotes, which would be part of the key: remove them";
  if (key.startsWith("SERVICE_API_KEY=")) {
    return "begins with SERVICE_API_KEY=, which would be part of the key: remove that";
  }
  return undefined;
}

/** Says why a key is easy to guess, and the remedy, without quoting it; undefined if it is not. */
export function weaknessOf(key: string): string | undefined {
  const remedy = `make a key with ${KEYGEN}`;
  if (key === PLACEHOLDER_KEY) return `is the placeholder of .env.example: ${remedy}`;
  if (key.length < 32) return `is shorter than 32 characters: ${remedy}`;
  if (new Set(key).size < 10) return `has fewer than 10 different characters: ${remedy}`;
  return undefined;
}
