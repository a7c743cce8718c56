import { randomFillSync, timingSafeEqual } from "node:crypto";

/** Something that is found by its hash. */
export interface Hashed {
  /** A SHA-256: 32 bytes. */
  readonly hash: Uint8Array;
}

/**
 * Finds one of a set of entries by its hash, in a time that tells neither whether there is one nor
 * which. However many entries there are, it makes one `timingSafeEqual`.
 *
 * A short fingerprint of the hash selects a slot, and no slot has more than one entry. The hash is
 * compared with that entry's, or with a dummy's if the slot is empty. The fingerprint is a strongly
 * universal hash (Dietzfelbinger, 1996; multiply-shift of a vector of bytes), under coefficients
 * that are random for each set and never leave the process.
 *
 * Why this does not leak: the work is the same for all inputs, which is 32 multiplications, one
 * slot and one comparison. What differs is which slot is read, and at most an observer could tell
 * by the cache. The slot depends on all bytes of the SHA-256 of the presented value, and on the
 * coefficients. Without these, the slots of two values are independent, whatever prefix their
 * hashes share with each other or with a key's: there is nothing to guess step by step. The
 * fingerprint is no MAC and need not be one, since no one gets to see it. A MAC would cost 260 ns.
 */
export class KeyIndex<Entry extends Hashed> {
  /** By their positions. At 0 there is no entry, and the dummy's hash. */
  readonly #entries: readonly (Entry | undefined)[];
  readonly #hashes: readonly Uint8Array[];
  readonly #shift: number;
  readonly #coefficients: Int32Array;
  /** The position of the entry with each fingerprint, or 0. */
  readonly #slots: Uint16Array;

  /** Of several entries with the same hash, the last one counts. */
  constructor(entries: readonly Entry[]) {
    const unique = new Map(
      entries.map((entry) => [Buffer.from(entry.hash).toString("hex"), entry]),
    );
    this.#entries = [undefined, ...unique.values()];
    this.#hashes = this.#entries.map((entry) => entry?.hash ?? DUMMY);
    // With as many slots as entries squared, each attempt succeeds with a probability of over 1/2.
    const bits = Math.max(1, Math.ceil(2 * Math.log2(unique.size)));
    this.#shift = 32 - bits;
    do {
      this.#coefficients = randomFillSync(new Int32Array(HASH_BYTES + 1));
      this.#slots = new Uint16Array(2 ** bits);
    } while (!this.#fillSlots());
  }

  /** Finds the entry with this hash of 32 bytes. */
  find(hash: Uint8Array): Entry | undefined {
    const position = this.#slots[this.#fingerprint(hash)] as number;
    const isEqual = timingSafeEqual(hash, this.#hashes[position] as Uint8Array);
    return isEqual ? this.#entries[position] : undefined;
  }

  /** Returns false if two entries have the same fingerprint. */
  #fillSlots(): boolean {
    for (let position = 1; position < this.#hashes.length; position += 1) {
      const slot = this.#fingerprint(this.#hashes[position] as Uint8Array);
      if (this.#slots[slot] !== 0) return false;
      this.#slots[slot] = position;
    }
    return true;
  }

  #fingerprint(hash: Uint8Array): number {
    const coefficients = this.#coefficients;
    let sum = coefficients[HASH_BYTES] as number;
    for (let i = 0; i < HASH_BYTES; i += 1) {
      sum = (sum + Math.imul(coefficients[i] as number, hash[i] as number)) | 0;
    }
    return sum >>> this.#shift;
  }
}

const HASH_BYTES = 32;

/** No entry has this hash, and if one had, the dummy would still not be an entry. */
const DUMMY: Uint8Array = randomFillSync(new Uint8Array(HASH_BYTES));
