/**
 * From the JSON Schema of a command to the fields of a form, and from a filled form back to the command.
 *
 * Understood are the shapes that a flat form can show; anything else is asked for as JSON. The server has the last word
 * in any case.
 */
import type { Json } from "./state";

export type Schema = { readonly [keyword: string]: unknown };

type Control =
  | { readonly kind: "text"; readonly long: boolean; readonly minLength?: number; readonly maxLength?: number }
  | { readonly kind: "number"; readonly step: number | "any"; readonly min?: number; readonly max?: number }
  | { readonly kind: "switch" }
  | { readonly kind: "choice"; readonly options: readonly Json[] }
  | { readonly kind: "json"; readonly example: string };

export type Field = {
  readonly name: string;
  readonly label: string;
  readonly hint: string | undefined;
  readonly required: boolean;
  readonly nullable: boolean;
  readonly initial: Json | undefined;
  readonly control: Control;
};

export type Form = {
  readonly hint: string | undefined;
  readonly fields: readonly Field[];
  /** Fields that can have one value only, `type` apart. */
  readonly fixed: Readonly<Record<string, Json>>;
};

/** A text with a longer limit than this gets more than one line. */
const LONG_TEXT = 200;
const LONG_NAMES = /^(text|body|content|description|note|notes|prompt)$/i;

const asSchema = (value: unknown): Schema =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Schema) : {};
const asText = (value: unknown): string | undefined => (typeof value === "string" && value ? value : undefined);
const asNumber = (value: unknown): number | undefined => (typeof value === "number" ? value : undefined);
const asList = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

/** Drop what is absent: optional fields are left out, never undefined. */
const present = <T extends object>(fields: T): { [K in keyof T]: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;

/** Follow `#/…` references; what stands beside a reference is kept. A circle ends as an empty schema. */
const resolve = (schema: Schema, root: Schema, seen: readonly string[] = []): Schema => {
  const reference = schema["$ref"];
  if (typeof reference !== "string") return schema;
  if (!reference.startsWith("#/") || seen.includes(reference)) return {};
  const target = reference
    .slice(2)
    .split("/")
    .map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"))
    .reduce<Schema>((at, step) => asSchema(at[step]), root);
  const { $ref: _, ...beside } = schema;
  return { ...resolve(target, root, [...seen, reference]), ...beside };
};

/** Take "or null" off a schema. */
const withoutNull = (schema: Schema, root: Schema): { readonly schema: Schema; readonly nullable: boolean } => {
  const { type, anyOf, oneOf, ...rest } = schema;
  if (Array.isArray(type) && type.includes("null")) {
    const left = type.filter((one) => one !== "null");
    return { schema: { ...rest, type: left.length === 1 ? left[0] : left }, nullable: true };
  }
  const choices = asList(anyOf ?? oneOf).map((one) => resolve(asSchema(one), root));
  const left = choices.filter((one) => one["type"] !== "null");
  const only = left.length === 1 ? left[0] : undefined;
  return only && left.length < choices.length
    ? { schema: { ...only, ...rest }, nullable: true }
    : { schema, nullable: false };
};

const optionsOf = (schema: Schema): readonly Json[] | undefined => {
  if ("const" in schema) return [schema["const"] as Json];
  return Array.isArray(schema["enum"]) ? (schema["enum"] as Json[]) : undefined;
};

const numberControl = (schema: Schema): Control => {
  const whole = schema["type"] === "integer";
  const above = asNumber(schema["exclusiveMinimum"]);
  const below = asNumber(schema["exclusiveMaximum"]);
  return present({
    kind: "number" as const,
    step: whole ? (asNumber(schema["multipleOf"]) ?? 1) : ("any" as const),
    min: asNumber(schema["minimum"]) ?? (whole && above !== undefined ? above + 1 : above),
    max: asNumber(schema["maximum"]) ?? (whole && below !== undefined ? below - 1 : below),
  }) as Control;
};

const controlOf = (name: string, schema: Schema): Control => {
  const options = optionsOf(schema);
  if (options) return { kind: "choice", options };
  switch (schema["type"]) {
    case "string": {
      const maxLength = asNumber(schema["maxLength"]);
      return present({
        kind: "text" as const,
        long: LONG_NAMES.test(name) || (maxLength ?? 0) > LONG_TEXT,
        minLength: asNumber(schema["minLength"]),
        maxLength,
      }) as Control;
    }
    case "integer":
    case "number":
      return numberControl(schema);
    case "boolean":
      return { kind: "switch" };
    case "array":
      return { kind: "json", example: "[]" };
    case "object":
      return { kind: "json", example: "{}" };
    default:
      return { kind: "json", example: "null" };
  }
};

/** `dueDate` and `due_date` read as "Due date". */
export const spoken = (name: string): string => {
  const words = name.replace(/([a-z])([A-Z])/g, "$1 $2").replace(/[_-]+/g, " ").toLowerCase();
  return words.charAt(0).toUpperCase() + words.slice(1);
};

const toField = (name: string, property: Schema, required: boolean, root: Schema): Field => {
  const { schema, nullable } = withoutNull(resolve(property, root), root);
  return {
    name,
    label: asText(property["title"]) ?? spoken(name),
    hint: asText(schema["description"]),
    required,
    nullable,
    initial: schema["default"] as Json | undefined,
    control: controlOf(name, schema),
  };
};

export const toForm = (command: Schema): Form => {
  const schema = resolve(command, command);
  const required = new Set(asList(schema["required"]));
  const fields: Field[] = [];
  const fixed: Record<string, Json> = {};
  for (const [name, raw] of Object.entries(asSchema(schema["properties"]))) {
    const property = asSchema(raw);
    // `id` makes a command safe to send twice; a form is sent once.
    if (name === "type" || (name === "id" && !required.has(name))) continue;
    const options = optionsOf(resolve(property, command));
    if (options?.length === 1 && required.has(name)) fixed[name] = options[0] ?? null;
    else fields.push(toField(name, property, required.has(name), command));
  }
  return { hint: asText(schema["description"]), fields, fixed };
};

/** A field whose text is not what it has to be. */
export class Unreadable extends Error {
  constructor(readonly field: string) {
    super(`expected JSON in "${field}"`);
  }
}

const valueOf = ({ name, control, required, nullable }: Field, data: FormData): Json | undefined => {
  if (control.kind === "switch") return data.has(name);
  const text = data.get(name);
  if (typeof text !== "string") return undefined;
  if (text === "" && control.kind !== "json" && !(control.kind === "text" && required && !nullable)) {
    return required && nullable ? null : undefined;
  }
  switch (control.kind) {
    case "text":
      return text;
    case "number":
      return Number(text);
    case "choice":
      return control.options[Number(text)];
    case "json":
      if (text.trim() === "" && !required) return undefined;
      try {
        return JSON.parse(text) as Json;
      } catch {
        throw new Unreadable(name);
      }
  }
};

/**
 * Return the fields of the command that the form describes. What was left empty is left out.
 *
 * Throws Unreadable for JSON that is none.
 */
export const readForm = ({ fields, fixed }: Form, data: FormData): Record<string, Json> => ({
  ...fixed,
  ...(present(Object.fromEntries(fields.map((field) => [field.name, valueOf(field, data)]))) as Record<string, Json>),
});
