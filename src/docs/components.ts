import type { JsonSchema } from "../models/model.ts";
import { asObject, entriesOf, type JsonObject, valuesOf } from "./document.ts";

/** What the operations of a document share, each under a name. */
export class Components {
  readonly #kinds: Map<string, Map<string, JsonObject>>;

  /** Starts with these components: by kind, such as `schemas`, then by name. */
  constructor(initial: Readonly<Record<string, Readonly<Record<string, JsonObject>>>>) {
    const kinds = Object.entries(initial);
    this.#kinds = new Map(kinds.map(([kind, members]) => [kind, new Map(Object.entries(members))]));
  }

  /**
   * A reference to `value`, which becomes the component of that name. If the name is that of
   * another value: `value` itself.
   */
  share(kind: string, name: string, value: JsonObject): JsonObject {
    const members = this.#kinds.get(kind) ?? new Map<string, JsonObject>();
    this.#kinds.set(kind, members);
    const known = members.get(name) ?? value;
    if (JSON.stringify(known) !== JSON.stringify(value)) return value;
    members.set(name, value);
    return { $ref: `#/components/${kind}/${name}` };
  }

  /**
   * The schema of a model as it stands in the document: a schema with a title becomes a component,
   * within others too. Throws an Error if the title can't name it.
   */
  schema({ title, ...schema }: JsonSchema): JsonObject {
    const inner = this.#withReferences(schema);
    if (title === undefined) return inner;
    const name = String(title);
    if (!/^[\w.-]+$/.test(name)) {
      throw new Error(`the title ${JSON.stringify(name)} must be of letters, digits and . _ -`);
    }
    // The default is that of one place, not of the component.
    const { default: byDefault, ...component } = inner;
    const reference = this.share("schemas", name, component);
    if (reference === component) throw new Error(`two models have the title ${name}`);
    return byDefault === undefined ? reference : { ...reference, default: byDefault };
  }

  /** All components, by kind and name. */
  toJson(): JsonObject {
    const kinds = [...this.#kinds].sort(([one], [other]) => one.localeCompare(other));
    return Object.fromEntries(kinds.map(([kind, members]) => [kind, Object.fromEntries(members)]));
  }

  /** Looks at schemas only: a value among the examples may have a title, too. */
  #withReferences(schema: JsonSchema): JsonObject {
    const { properties, items, anyOf, ...own } = schema;
    const result: Record<string, unknown> = own;
    if (properties !== undefined) {
      const members = entriesOf(properties).map(([name, member]) => [name, this.schema(member)]);
      result["properties"] = Object.fromEntries(members);
    }
    if (items !== undefined) result["items"] = this.schema(asObject(items));
    if (anyOf !== undefined) {
      result["anyOf"] = valuesOf(anyOf).map((variant) => this.schema(variant));
    }
    return result;
  }
}
