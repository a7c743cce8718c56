/** One thing that is wrong with a body, in the shape of pydantic's errors. */
export interface ValidationProblem {
  /** The kind of problem, such as `string_type`. */
  readonly type: string;
  readonly loc: Location;
  /** A sentence for the client. */
  readonly msg: string;
  /** The value at `loc`, if it is small enough to be shown. */
  readonly input?: unknown;
}

/** The way to a value: "body", then the names and indices that lead to it. */
export type Location = readonly (string | number)[];

/**
 * Checks `input`, which was found at `location`. Returns it as a T. If anything is wrong, it adds
 * to `problems`, and the result is discarded.
 */
export type Model<T> = (input: unknown, location: Location, problems: ValidationProblem[]) => T;

/**
 * An object with these members. Further members are ignored and not passed on, which is pydantic's
 * default.
 *
 * @example
 *     const processModel = object({ status: string() });
 */
export function object<T extends object>(members: {
  readonly [K in keyof T]: Model<T[K]>;
}): Model<T> {
  const models = Object.entries(members) as [string, Model<unknown>][];
  return (input, location, problems) => {
    const value: Record<string, unknown> = {};
    if (!isJsonObject(input)) {
      problems.push(validationProblem("model_attributes_type", location, NOT_AN_OBJECT, input));
      return value as T;
    }
    for (const [name, model] of models) {
      const place = [...location, name];
      // Only own members count: the client did not send what every object inherits.
      if (Object.hasOwn(input, name)) {
        value[name] = model(input[name], place, problems);
      } else {
        problems.push(validationProblem("missing", place, "Field required", input));
      }
    }
    return value as T;
  };
}

/** A string of any length and content. */
export function string(): Model<string> {
  return (input, location, problems) => {
    if (typeof input === "string") return input;
    problems.push(
      validationProblem("string_type", location, "Input should be a valid string", input),
    );
    return "";
  };
}

/**
 * A problem that shows the client what it sent. `input` is left out if its JSON is over 1,024 bytes
 * or cannot be written.
 */
export function validationProblem(
  type: string,
  loc: Location,
  msg: string,
  input: unknown,
): ValidationProblem {
  return isSmallJson(input) ? { type, loc, msg, input } : { type, loc, msg };
}

const MAX_INPUT_BYTES = 1024;

const NOT_AN_OBJECT = "Input should be a valid dictionary or object to extract fields from";

function isJsonObject(input: unknown): input is Record<string, unknown> {
  return typeof input === "object" && input !== null && !Array.isArray(input);
}

function isSmallJson(input: unknown): boolean {
  try {
    return Buffer.byteLength(JSON.stringify(input)) <= MAX_INPUT_BYTES;
  } catch {
    // JSON.parse reads any depth, but JSON.stringify runs out of stack.
    return false;
  }
}
