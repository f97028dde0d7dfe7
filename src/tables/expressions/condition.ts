import type { AttributeType, AttributeValue } from '../values/index.js'
import { ConditionBuilder } from './condition-builder.js'
import { parseConditionSyntax } from './condition-parser.js'
import type { ExpressionContext } from './context.js'
import { checkConditionNames } from './names.js'
import type { Path } from './paths.js'
import { type ExpressionKind, ExpressionReader } from './reader.js'
import type { Comparator, ConditionSyntax, OperandSyntax } from './syntax.js'

export type Operand =
  | { readonly kind: 'path'; readonly path: Path }
  | { readonly kind: 'value'; readonly value: AttributeValue }
  | { readonly kind: 'size'; readonly of: Operand }
  /** Whether a condition holds, as a BOOL. Only statements have it. */
  | { readonly kind: 'test'; readonly of: Condition }

/** A parsed condition with its names and values put in. */
export type Condition =
  | { readonly kind: 'and' | 'or'; readonly items: readonly Condition[] }
  | { readonly kind: 'not'; readonly item: Condition }
  | { readonly kind: 'compare'; readonly operator: Comparator; readonly left: Operand; readonly right: Operand }
  | { readonly kind: 'between'; readonly value: Operand; readonly low: Operand; readonly high: Operand }
  | { readonly kind: 'in'; readonly value: Operand; readonly options: readonly Operand[] }
  | { readonly kind: 'attribute_exists' | 'attribute_not_exists'; readonly path: Path }
  | { readonly kind: 'attribute_type'; readonly of: Operand; readonly type: AttributeType }
  | { readonly kind: 'begins_with' | 'contains'; readonly of: Operand; readonly operand: Operand }

export function parseCondition(
  kind: 'ConditionExpression' | 'FilterExpression',
  text: string,
  context: ExpressionContext,
): Condition {
  return readCondition(kind, text, context)
}

/** Three passes, as AWS has them: the syntax, then the names, then what the names and values are. */
export function readCondition(kind: ExpressionKind, text: string, context: ExpressionContext): Condition {
  const syntax = parseConditionSyntax(new ExpressionReader(kind, text))
  checkConditionNames(kind, syntax)
  return new Resolver(kind, context).condition(syntax)
}

/** Puts names and values in; the builder checks number and types of operands, before their operator, left to right. */
class Resolver {
  private readonly build: ConditionBuilder

  constructor(
    private readonly kind: ExpressionKind,
    private readonly context: ExpressionContext,
  ) {
    this.build = new ConditionBuilder(kind)
  }

  condition(syntax: ConditionSyntax): Condition {
    switch (syntax.kind) {
      case 'and':
      case 'or':
        return { kind: syntax.kind, items: syntax.items.map((item) => this.condition(item)) }
      case 'not':
        return { kind: 'not', item: this.condition(syntax.item) }
      case 'compare':
        return this.build.compare(syntax.operator, this.operand(syntax.left), this.operand(syntax.right))
      case 'between': {
        const [value, low, high] = [syntax.value, syntax.low, syntax.high].map((operand) => this.operand(operand))
        return this.build.between(value as Operand, low as Operand, high as Operand, () => [
          this.describe(syntax.low),
          this.describe(syntax.high),
        ])
      }
      case 'in': {
        const value = this.operand(syntax.value)
        return this.build.in(
          value,
          syntax.options.map((option) => this.operand(option)),
        )
      }
      case 'call':
        return this.build.call(
          syntax.name,
          syntax.operands.map((operand) => this.operand(operand)),
        )
    }
  }

  private operand(syntax: OperandSyntax): Operand {
    switch (syntax.kind) {
      case 'path':
        return { kind: 'path', path: this.context.path(this.kind, syntax) }
      case 'value':
        return { kind: 'value', value: this.context.value(this.kind, syntax.reference) }
      case 'call':
        return this.build.size(
          syntax.name,
          syntax.operands.map((operand) => this.operand(operand)),
        )
    }
  }

  private describe(syntax: OperandSyntax): string {
    return syntax.kind === 'value' ? this.context.describeValue(syntax.reference) : ''
  }
}

/** The paths that a condition reads, in the order of the text. */
export function conditionPaths(condition: Condition): readonly Path[] {
  const paths: Path[] = []
  collectPaths(condition, paths)
  return paths
}

function collectPaths(condition: Condition, paths: Path[]): void {
  switch (condition.kind) {
    case 'and':
    case 'or':
      for (const item of condition.items) collectPaths(item, paths)
      break
    case 'not':
      collectPaths(condition.item, paths)
      break
    case 'attribute_exists':
    case 'attribute_not_exists':
      paths.push(condition.path)
      break
    default:
      for (const operand of operandsOf(condition)) {
        let inner = operand
        while (inner.kind === 'size') inner = inner.of
        if (inner.kind === 'path') paths.push(inner.path)
        else if (inner.kind === 'test') collectPaths(inner.of, paths)
      }
  }
}

type WithOperands = Extract<
  Condition,
  { kind: 'compare' | 'between' | 'in' | 'attribute_type' | 'begins_with' | 'contains' }
>

/** The operands of a condition that has some, in the order of the text. */
export function operandsOf(condition: WithOperands): readonly Operand[] {
  switch (condition.kind) {
    case 'compare':
      return [condition.left, condition.right]
    case 'between':
      return [condition.value, condition.low, condition.high]
    case 'in':
      return [condition.value, ...condition.options]
    case 'attribute_type':
      return [condition.of]
    case 'begins_with':
    case 'contains':
      return [condition.of, condition.operand]
  }
}
