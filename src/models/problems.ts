/** One thing that is wrong with a request, in the shape and the order of pydantic's errors. */
export interface ValidationProblem extends ProblemKind {
  /** The way to the value: a `Location`. */
  readonly loc: readonly (string | number)[];
  /** The value, if it is small enough to be shown. */
  readonly input?: unknown;
}

/** The part of a problem that does not depend on the request. */
export interface ProblemKind {
  /** Such as `string_type`. */
  readonly type: string;
  /** A sentence for the client. */
  readonly msg: string;
  /** What `msg` says in figures and words, by name. */
  readonly ctx?: Readonly<Record<string, unknown>> | undefined;
}

/** The kind of problem whose message says what the input should be. */
export function expected(type: string, words: string, ctx?: ProblemKind["ctx"]): ProblemKind {
  return { type, msg: `Input should be ${words}`, ctx };
}

/** The problem of a member or a parameter that must be present. */
export const MISSING: ProblemKind = { type: "missing", msg: "Field required" };

/**
 * The way to a value: "body", "path" or "query", then names and indices. It changes during a check,
 * which adds the name of a member, checks the member, and removes the name. A new list for each
 * value would take as long as `JSON.parse`.
 */
export type Location = (string | number)[];

/** The problems of one request. The first 100 are kept. */
export class Problems {
  readonly #capacity: number;
  readonly #found: ValidationProblem[] = [];
  #count = 0;

  /** Keeps the first `capacity` problems; with 0 it only counts them. */
  constructor(capacity = 100) {
    this.#capacity = capacity;
  }

  /** How many were added. */
  get count(): number {
    return this.#count;
  }

  get isEmpty(): boolean {
    return this.#count === 0;
  }

  /** Whether a check may stop: there are problems, and further ones would be dropped. */
  get isFull(): boolean {
    return this.#count > 0 && this.#count >= this.#capacity;
  }

  /** The problems as they are written. `input` is left out if its JSON is over 1,024 bytes. */
  get list(): readonly ValidationProblem[] {
    // An object is the input of each member that it lacks: look at it once.
    const small = new Map<unknown, boolean>();
    return this.#found.map(({ type, loc, msg, input, ctx }) => {
      const isSmall = small.get(input) ?? isSmallJson(input);
      small.set(input, isSmall);
      const problem = isSmall ? { type, loc, msg, input } : { type, loc, msg };
      return ctx === undefined ? problem : { ...problem, ctx };
    });
  }

  /** Adds a problem with `input`, which was found at `location`. */
  add({ type, msg, ctx }: ProblemKind, input: unknown, location: Location): void {
    this.#count += 1;
    if (this.#count > this.#capacity) return;
    this.#found.push({ type, loc: [...location], msg, input, ctx });
  }
}

const MAX_INPUT_BYTES = 1024;

/** Stops at 1,024 values or characters. V8 still lists all names of a large object first. */
function isSmallJson(input: unknown): boolean {
  let room = MAX_INPUT_BYTES;
  const count = (_name: string, value: unknown): unknown => {
    room -= typeof value === "string" ? value.length : 1;
    if (room < 0) throw TOO_LARGE;
    return value;
  };
  try {
    const json = JSON.stringify(input, typeof input === "object" ? count : undefined);
    return Buffer.byteLength(json) <= MAX_INPUT_BYTES;
  } catch {
    return false;
  }
}

const TOO_LARGE = new Error("The JSON is over 1,024 bytes");
