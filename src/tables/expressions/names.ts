import { isConditionFunction, isFunction, isUpdateFunction } from './functions.js'
import { type ExpressionKind, expressionError } from './reader.js'
import { isReservedWord } from './reserved-words.js'
import type { ConditionSyntax, OperandSyntax, PathSyntax, SetValueSyntax } from './syntax.js'

/** List positions are Java integers. */
export const listIndexMax = 2_147_483_647
const listIndexDigitsMax = 10

/*
 * The second pass over an expression, in the order of its text, before any reference is looked up: names of functions and
 * whether they may stand there, reserved words, list positions.
 */

export function checkConditionNames(kind: ExpressionKind, condition: ConditionSyntax): void {
  switch (condition.kind) {
    case 'and':
    case 'or':
      for (const item of condition.items) checkConditionNames(kind, item)
      break
    case 'not':
      checkConditionNames(kind, condition.item)
      break
    case 'compare':
      checkOperandNames(kind, condition.left)
      checkOperandNames(kind, condition.right)
      break
    case 'between':
      checkOperandNames(kind, condition.value)
      checkOperandNames(kind, condition.low)
      checkOperandNames(kind, condition.high)
      break
    case 'in':
      checkOperandNames(kind, condition.value)
      for (const option of condition.options) checkOperandNames(kind, option)
      break
    case 'call':
      checkConditionFunction(kind, condition.name)
      if (!isConditionFunction(condition.name)) throw misused(kind, condition.name)
      for (const operand of condition.operands) checkOperandNames(kind, operand)
      break
  }
}

/** In a condition the only function that can be an operand is size. */
function checkOperandNames(kind: ExpressionKind, operand: OperandSyntax): void {
  if (operand.kind === 'path') {
    checkPathNames(kind, operand)
  } else if (operand.kind === 'call') {
    checkConditionFunction(kind, operand.name)
    if (operand.name !== 'size') throw misused(kind, operand.name)
    for (const inner of operand.operands) checkOperandNames(kind, inner)
  }
}

function checkConditionFunction(kind: ExpressionKind, name: string): void {
  checkFunction(kind, name)
  if (isUpdateFunction(name)) {
    throw expressionError(kind, `The function is not allowed in a condition expression; function: ${name}`)
  }
}

export function checkSetValueNames(kind: ExpressionKind, value: SetValueSyntax): void {
  if (value.kind === 'arithmetic') {
    checkUpdateOperandNames(kind, value.left, true)
    checkUpdateOperandNames(kind, value.right, true)
  } else {
    checkUpdateOperandNames(kind, value, false)
  }
}

/** if_not_exists may be an operand of anything, list_append only the whole of a value. */
function checkUpdateOperandNames(kind: ExpressionKind, operand: OperandSyntax, isInner: boolean): void {
  if (operand.kind === 'path') {
    checkPathNames(kind, operand)
  } else if (operand.kind === 'call') {
    const name = operand.name
    checkFunction(kind, name)
    if (!isUpdateFunction(name)) {
      throw expressionError(kind, `The function is not allowed in an update expression; function: ${name}`)
    }
    if (isInner && name === 'list_append') throw misused(kind, name)
    for (const inner of operand.operands) checkUpdateOperandNames(kind, inner, true)
  }
}

export function checkPathNames(kind: ExpressionKind, path: PathSyntax): void {
  for (const part of path.parts) {
    if (part.kind === 'name') {
      if (isReservedWord(part.text)) {
        throw expressionError(kind, `Attribute name is a reserved keyword; reserved keyword: ${part.text}`)
      }
    } else if (part.kind === 'index') {
      if (part.text.length > listIndexDigitsMax || Number(part.text) > listIndexMax) {
        throw expressionError(kind, `List index is not within the allowable range; index: [${part.text}]`)
      }
    }
  }
}

function checkFunction(kind: ExpressionKind, name: string): void {
  if (!isFunction(name)) throw expressionError(kind, `Invalid function name; function: ${name}`)
}

function misused(kind: ExpressionKind, name: string): Error {
  return expressionError(kind, `The function is not allowed to be used this way in an expression; function: ${name}`)
}
