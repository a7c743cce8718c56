/** Random choices that a seed determines. */
export class Random {
  #state: number;

  /** `seed` is any text: the same text gives the same choices. */
  constructor(seed: string) {
    this.#state = hashOf(seed);
  }

  /** A whole number from 0 to `below` - 1. Mulberry32. */
  below(below: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    const state = this.#state;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  }

  /** True once in `times`. */
  oneIn(times: number): boolean {
    return this.below(times) === 0;
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)] as T;
  }

  /** A list of up to `most` items; short lists are more likely. */
  list<T>(most: number, item: () => T): T[] {
    return Array.from({ length: this.below(this.below(most) + 2) }, item);
  }

  /** A text of up to `most` of these pieces. */
  text(most: number, pieces: readonly string[]): string {
    return this.list(most, () => this.pick(pieces)).join("");
  }

  bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.below(256)));
  }

  /** What looks like a key of keygen's. */
  key(): string {
    return `svk_${Array.from({ length: 43 }, () => this.pick(KEY_CHARACTERS)).join("")}`;
  }
}

const KEY_CHARACTERS = [..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"];

/** FNV-1a. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash;
}

/** Bytes that parsers treat in a special way, or should not. */
const ODD_PIECES: readonly string[] = [
  ..."\0\t\n\v\f\r \"'#$%&(),/:;<=>?@[\\]{}~\x7f",
  "\r\n",
  "\r\n\r\n",
  "\x80",
  "\xff",
  "\xc0\xaf",
  "\xed\xa0\x80",
  "\xef\xbb\xbf",
  "\xe2\x80\xa8",
  "\xf0\x9f\x98\x80",
  "-1",
  "0",
  "18446744073709551616",
  "%",
  "%2f",
  "%00",
  "__proto__",
  "constructor",
];

/**
 * Changes some bytes of `bytes`: it cuts, repeats, moves, and inserts bytes and `pieces`, which
 * have a byte for each character.
 */
export function mutate(random: Random, bytes: Buffer, pieces: readonly string[] = []): Buffer {
  let mutated = bytes;
  for (let count = random.below(4); count >= 0; count -= 1) {
    const at = random.below(mutated.length + 1);
    const length = random.below(random.oneIn(4) ? 1 + mutated.length - at : 4);
    const [before, part] = [mutated.subarray(0, at), mutated.subarray(at, at + length)];
    const after = mutated.subarray(at + part.length);
    mutated = Buffer.concat([before, replacement(random, part, pieces), after]);
  }
  return mutated;
}

function replacement(random: Random, part: Buffer, pieces: readonly string[]): Buffer {
  switch (random.below(6)) {
    case 0:
      return Buffer.alloc(0);
    case 1: {
      const times = random.oneIn(4) ? random.below(200) : 2;
      return Buffer.concat(Array.from({ length: times }, () => part));
    }
    case 2:
      return random.bytes(1 + random.below(4));
    case 3:
      return Buffer.from(part.map((byte) => byte ^ (1 << random.below(8))));
    case 4:
      return Buffer.from(random.pick(ODD_PIECES), "latin1");
    default:
      return Buffer.from(random.pick(pieces.length > 0 ? pieces : ODD_PIECES), "latin1");
  }
}
