import {
  type Action,
  appendedLists,
  type Path,
  type SetValue,
  sumOf,
  type Update,
  updateOf,
} from '../expressions/index.js'
import { ValidationError } from '../values/index.js'
import type { Literals } from './literals.js'
import { nameOfKind } from './operation-names.js'
import { pathOf } from './paths.js'
import type { Expression, UpdateSyntax } from './syntax.js'

type Call = Extract<Expression, { kind: 'call' }>

/** What SET and REMOVE do together. Throws ValidationError. */
export function compileUpdate(operations: UpdateSyntax['operations'], literals: Literals): Update {
  const paths: Path[] = []
  const actions: Action[] = []
  for (const operation of operations) {
    if (operation.kind === 'insert')
      throw new ValidationError('Only SET and REMOVE are supported in update expressions at this time')
    const { target } = operation
    if (target.kind !== 'path')
      throw new ValidationError(`Unrecognized assignment target: ${nameOfKind(target)}${literals.at(target.place)}`)
    const path = pathOf(target, literals)
    paths.push(path)
    actions.push(operation.kind === 'remove' ? { kind: 'REMOVE' } : assigned(path, operation.value, literals))
  }
  return updateOf('Statement', paths, actions)
}

function assigned(target: Path, value: Expression, literals: Literals): Action {
  if (value.kind === 'call' && (value.name === 'set_add' || value.name === 'set_delete'))
    return setAction(target, value, literals)
  return { kind: 'SET', value: setValue(value, literals) }
}

/** set_add and set_delete change the set that they are assigned to, and no other. */
function setAction(target: Path, call: Call, literals: Literals): Action {
  const name = call.name.toUpperCase()
  const at = literals.at(call.place)
  if (call.operands.length !== 2) throw new ValidationError(`${name} must have exactly two arguments${at}`)
  const [first, second] = call.operands as [Expression, Expression]
  const isTarget = first.kind === 'path' && samePath(pathOf(first, literals), target)
  if (!isTarget) throw new ValidationError(`The first argument to ${name} must equal the assignment value${at}`)
  const value = second.kind === 'bag' || second.kind === 'parameter' ? literals.value(second) : undefined
  if (!value || !('SS' in value || 'NS' in value || 'BS' in value)) {
    throw new ValidationError(`The second argument to ${name} must be a value with type SET${literals.at(first.place)}`)
  }
  return { kind: name === 'SET_ADD' ? 'ADD' : 'DELETE', value }
}

function setValue(expression: Expression, literals: Literals): SetValue {
  if (literals.isValue(expression)) return { kind: 'value', value: literals.value(expression) }
  switch (expression.kind) {
    case 'path':
      return { kind: 'path', path: pathOf(expression, literals) }
    case 'missing':
      throw new ValidationError('MISSING must be compared using IS operator')
    case 'binary': {
      const { operator } = expression
      if (operator !== '+' && operator !== '-') throw unsupported(operator)
      const left = setValue(expression.left, literals)
      return sumOf('Statement', operator, left, setValue(expression.right, literals))
    }
    case 'call':
      if (expression.name === 'list_append') {
        return appendedLists(
          'Statement',
          expression.operands.map((operand) => setValue(operand, literals)),
        )
      }
      throw new ValidationError(`Unrecognized function: ${expression.name}${literals.at(expression.place)}`)
    case 'is':
      throw new ValidationError('IS operator is not supported in update expressions')
    case 'compare':
      throw unsupported(expression.operator)
    case 'plus':
      throw unsupported('+')
    case 'minus':
      throw unsupported('-')
    case 'and':
    case 'or':
    case 'not':
    case 'between':
    case 'in':
      throw unsupported(expression.kind)
    default:
      throw new ValidationError(`Unsupported operation: ${nameOfKind(expression)}`)
  }
}

const unsupported = (operator: string): ValidationError =>
  new ValidationError(`Unsupported operator in Update Expression. Operator: ${operator.toUpperCase()}`)

const samePath = (a: Path, b: Path): boolean => a.length === b.length && a.every((step, i) => step === b[i])
