// What builders import: the functions that make models, and the types to name them with.
export { array } from "./array.ts";
export type { JsonSchema, Model, ValueOf } from "./base.ts";
export { annotate, literal, nullable, optional, refine, union } from "./choice.ts";
export { boolean, integer, number } from "./number.ts";
export { type Members, object, type ObjectOf } from "./object.ts";
export { string } from "./string.ts";
