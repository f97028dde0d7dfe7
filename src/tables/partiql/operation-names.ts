import type { Expression } from './syntax.js'

const names: Readonly<Record<Exclude<Expression['kind'], 'compare' | 'binary' | 'statement' | 'call'>, string>> = {
  string: 'Lit',
  number: 'Lit',
  boolean: 'Lit',
  null: 'Lit',
  ion: 'Lit',
  date: 'UNKNOWN',
  missing: 'Missing',
  parameter: 'Parameter',
  list: 'List',
  bag: 'Bag',
  struct: 'Struct',
  path: 'Id',
  pathOf: 'Path',
  and: 'And',
  or: 'Or',
  not: 'Not',
  plus: 'Pos',
  minus: 'Neg',
  between: 'Between',
  in: 'InCollection',
  is: 'IsType',
}

const operators: Readonly<Record<string, string>> = {
  '=': 'Eq',
  '<>': 'Ne',
  '<': 'Lt',
  '<=': 'Lte',
  '>': 'Gt',
  '>=': 'Gte',
  '+': 'Plus',
  '-': 'Minus',
  '*': 'Times',
  '/': 'Divide',
  '%': 'Modulo',
  '||': 'Concat',
  like: 'Like',
  'not like': 'Not',
}

/** What AWS calls a kind of expression in messages that refuse it. */
export function nameOfKind(expression: Expression): string {
  switch (expression.kind) {
    case 'compare':
    case 'binary':
      return operators[expression.operator] ?? 'BagOp'
    case 'call':
      return expression.isAggregate ? 'CallAgg' : 'Call'
    case 'statement':
      return expression.statement.kind === 'select' ? 'Select' : 'Dml'
    case 'path':
      return expression.steps.length > 0 ? 'Path' : 'Id'
    default:
      return names[expression.kind]
  }
}
