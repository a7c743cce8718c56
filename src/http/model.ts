import type { Fault, Model } from "./route.ts";

/** An object with these members; further ones are ignored and not passed on (pydantic's default). */
export function object<T extends object>(members: {
  readonly [K in keyof T]: Model<T[K]>;
}): Model<T> {
  const models = Object.entries(members) as [string, Model<unknown>][];
  return (input, loc, faults) => {
    const value: Record<string, unknown> = {};
    if (typeof input !== "object" || input === null || Array.isArray(input)) {
      faults.push(fault("model_attributes_type", loc, NOT_AN_OBJECT, input));
      return value as T;
    }
    for (const [name, model] of models) {
      const place = [...loc, name];
      // Own members only: what every object inherits was not sent by the client.
      if (Object.hasOwn(input, name))
        value[name] = model((input as Record<string, unknown>)[name], place, faults);
      else faults.push(fault("missing", place, "Field required", input));
    }
    return value as T;
  };
}

/** A string, of any length and content. */
export function string(): Model<string> {
  return (input, loc, faults) => {
    if (typeof input === "string") return input;
    faults.push(fault("string_type", loc, "Input should be a valid string", input));
    return "";
  };
}

/** A fault that shows the client what it sent, unless that is over 1,024 bytes of JSON or can't be written as JSON. */
export function fault(type: string, loc: Fault["loc"], msg: string, input: unknown): Fault {
  try {
    if (Buffer.byteLength(JSON.stringify(input)) <= 1024) return { type, loc, msg, input };
  } catch {
    // JSON.parse reads any depth, JSON.stringify runs out of stack.
  }
  return { type, loc, msg };
}

const NOT_AN_OBJECT = "Input should be a valid dictionary or object to extract fields from";
