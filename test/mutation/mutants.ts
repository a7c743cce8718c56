import { type Change, patternChanges } from "./patterns.ts";

/** What is used of a node of TypeScript's own API, which version 7 does not have. */
export interface SyntaxNode {
  readonly kind: number;
  readonly parent: SyntaxNode;
  readonly operatorToken?: SyntaxNode;
  readonly condition?: SyntaxNode;
  readonly expression?: SyntaxNode;
  readonly operator?: number;
  readonly operand?: SyntaxNode;
  readonly thenStatement?: SyntaxNode;
  getStart(): number;
  getEnd(): number;
  getText(): string;
  forEachChild(visit: (node: SyntaxNode) => void): void;
}

/** What is used of TypeScript 5.9's API. */
export interface TypeScript {
  readonly SyntaxKind: Readonly<Record<string, number>>;
  readonly ScriptTarget: { readonly Latest: number };
  createSourceFile(name: string, text: string, target: number, parents: boolean): SyntaxNode;
}

/** A change of a source that a test should notice. */
export interface Mutant extends Change {
  /** Counted from 1. */
  readonly line: number;
}

/** Operators, and what could stand there by mistake. */
const OPERATORS: Readonly<Record<string, string>> = {
  "<": "<=",
  "<=": "<",
  ">": ">=",
  ">=": ">",
  "===": "!==",
  "!==": "===",
  "&&": "||",
  "||": "&&",
  "??": "&&",
  "+": "-",
  "-": "+",
  "*": "/",
  "/": "*",
  "%": "*",
  "+=": "-=",
  "-=": "+=",
  "&": "|",
  "|": "&",
  "<<": ">>",
  ">>": "<<",
};

/** The mutants of a source, in the order of its text. */
export function mutantsOf(ts: TypeScript, name: string, text: string): Mutant[] {
  const changes: Change[] = [];
  const visit = (node: SyntaxNode): void => {
    if (isSkipped(ts, node)) return;
    changes.push(...changesOf(ts, node));
    node.forEachChild(visit);
  };
  visit(ts.createSourceFile(name, text, ts.ScriptTarget.Latest, true));
  return changes
    .filter((change) => text.slice(change.start, change.end) !== change.text)
    .sort((one, other) => one.start - other.start)
    .map((change) => ({ ...change, line: text.slice(0, change.start).split("\n").length }));
}

/** Types and imports do nothing at run time. */
function isSkipped({ SyntaxKind }: TypeScript, { kind }: SyntaxNode): boolean {
  const { ImportDeclaration, ExportDeclaration, InterfaceDeclaration } = SyntaxKind;
  const { TypeAliasDeclaration, FirstTypeNode = 0, LastTypeNode = 0 } = SyntaxKind;
  const kinds = [ImportDeclaration, ExportDeclaration, InterfaceDeclaration, TypeAliasDeclaration];
  return kinds.includes(kind) || (kind >= FirstTypeNode && kind <= LastTypeNode);
}

function changesOf(ts: TypeScript, node: SyntaxNode): Change[] {
  return [
    ...conditionChanges(ts, node),
    ...operatorChanges(ts, node),
    ...literalChanges(ts, node),
    ...statementChanges(ts, node),
  ];
}

/** Conditions are negated. */
function conditionChanges({ SyntaxKind: kinds }: TypeScript, node: SyntaxNode): Change[] {
  const { IfStatement, WhileStatement, DoStatement, ConditionalExpression, ForStatement } = kinds;
  const isStatement = [IfStatement, WhileStatement, DoStatement].includes(node.kind);
  const isOther = [ConditionalExpression, ForStatement].includes(node.kind);
  const place = isStatement ? node.expression : node.condition;
  if ((!isStatement && !isOther) || place === undefined) return [];
  return isNegatedByOperator(kinds, place) ? [] : [replace(place, `!(${place.getText()})`)];
}

function isNegatedByOperator(kinds: TypeScript["SyntaxKind"], node: SyntaxNode): boolean {
  const { operatorToken, operator } = node;
  const isComparison = /^[!=]==$/.test(operatorToken?.getText() ?? "");
  return isComparison || operator === kinds["ExclamationToken"];
}

function operatorChanges({ SyntaxKind: kinds }: TypeScript, node: SyntaxNode): Change[] {
  const { kind, operatorToken, operand, operator } = node;
  if (kind === kinds["BinaryExpression"] && operatorToken !== undefined) {
    const other = OPERATORS[operatorToken.getText()];
    return other === undefined ? [] : [replace(operatorToken, other)];
  }
  if (kind !== kinds["PrefixUnaryExpression"] || operand === undefined) return [];
  const isSign = operator === kinds["MinusToken"] || operator === kinds["ExclamationToken"];
  return isSign ? [replace(node, operand.getText())] : [];
}

function literalChanges(ts: TypeScript, node: SyntaxNode): Change[] {
  const { SyntaxKind: kinds } = ts;
  const text = node.getText();
  switch (node.kind) {
    case kinds["TrueKeyword"]:
    case kinds["FalseKeyword"]:
      return [replace(node, text === "true" ? "false" : "true")];
    case kinds["NumericLiteral"]:
      return [replace(node, `(${text} + 1)`), replace(node, `(${text} - 1)`)];
    case kinds["RegularExpressionLiteral"]:
      return patternChangesIn(node);
    default:
      return textChanges(ts, node);
  }
}

function textChanges({ SyntaxKind: kinds }: TypeScript, node: SyntaxNode): Change[] {
  const { StringLiteral, NoSubstitutionTemplateLiteral, TemplateExpression } = kinds;
  const isText = [StringLiteral, NoSubstitutionTemplateLiteral, TemplateExpression];
  if (!isText.includes(node.kind)) return [];
  // A template may have a tag, so it stays one.
  const quote = node.kind === StringLiteral ? '"' : "`";
  const text = node.getText().length === 2 ? "mutant" : "";
  return [replace(node, quote + text + quote)];
}

function patternChangesIn(node: SyntaxNode): Change[] {
  const offset = node.getStart();
  return patternChanges(node.getText()).map(({ start, end, text }) => {
    return { start: offset + start, end: offset + end, text };
  });
}

/** Calls, assignments, jumps and throws are removed. */
function statementChanges({ SyntaxKind: kinds }: TypeScript, node: SyntaxNode): Change[] {
  const { ExpressionStatement, BreakStatement, ContinueStatement, ThrowStatement } = kinds;
  const removed = [ExpressionStatement, BreakStatement, ContinueStatement, ThrowStatement];
  const isBareReturn = node.kind === kinds["ReturnStatement"] && node.expression === undefined;
  if (!isBareReturn && !removed.includes(node.kind)) return [];
  if (node.kind === BreakStatement && isEndOfSwitch(kinds, node)) return [];
  // A constructor without it would not be valid.
  if (node.getText().startsWith("super(")) return [];
  return [replace(node, ";")];
}

/** What a switch would do next without a `break` at its end is the same. */
function isEndOfSwitch(kinds: TypeScript["SyntaxKind"], node: SyntaxNode): boolean {
  const cases = node.parent.parent;
  let end = -1;
  cases.forEachChild((clause) => {
    end = clause.getEnd();
  });
  return cases.kind === kinds["CaseBlock"] && node.getEnd() === end;
}

function replace(node: SyntaxNode, text: string): Change {
  return { start: node.getStart(), end: node.getEnd(), text };
}
