import { type ShowCapacity, showCapacity } from '../requests/capacity.js'
import { atMost, Constraints, flag, type Input, list, oneOf, text } from '../requests/request.js'
import { type AttributeValue, checkValue } from '../values/index.js'
import { type Statement as CompiledStatement, compileStatement } from './statement.js'
import { parseStatement } from './statement-parser.js'

/** Most characters of a statement. */
export const statementLengthMax = 8192
/** Most characters of a NextToken. */
const tokenLengthMax = 32_768
/** Most statements of a batch. */
export const batchStatementsMax = 25
/** Most statements of a transaction. */
export const transactionStatementsMax = 100
/** Most characters of a ClientRequestToken. */
const clientTokenLengthMax = 36

/** A statement as a request has it, before it is looked into. */
export interface StatementInput {
  readonly statement: string
  readonly rawParameters: readonly unknown[]
  readonly consistent: boolean
  /** Whether the error of a failed condition shows the item. */
  readonly returnItem: boolean
}

export interface ExecuteInput extends StatementInput {
  readonly limit: number | undefined
  readonly token: string | undefined
  readonly show: ShowCapacity
}

/** Throws ValidationException. */
export function executeInput(input: Input): ExecuteInput {
  const constraints = new Constraints()
  const statement = statementInput(input, '', constraints)
  const token = text(input, 'NextToken')
  checkLength(token, 'nextToken', tokenLengthMax, constraints)
  const limit = atMost(input, 'Limit', 'limit', 2 ** 31 - 1, constraints)
  const show = showCapacity(input, constraints)
  constraints.done()
  return { ...statement, limit, token, show }
}

export interface ManyInput {
  readonly statements: readonly StatementInput[]
  readonly show: ShowCapacity
}

export function batchInput(input: Input): ManyInput {
  return manyInput(input, 'Statements', 'statements', batchStatementsMax, new Constraints())
}

export function transactionInput(input: Input): ManyInput & { readonly token: string | undefined } {
  const constraints = new Constraints()
  const token = text(input, 'ClientRequestToken')
  checkLength(token, 'clientRequestToken', clientTokenLengthMax, constraints)
  return {
    ...manyInput(input, 'TransactStatements', 'transactStatements', transactionStatementsMax, constraints),
    token,
  }
}

function manyInput(input: Input, name: string, member: string, countMax: number, constraints: Constraints): ManyInput {
  const given = list(input, name)
  constraints.check(given !== undefined, member, undefined, 'Member must not be null')
  checkCount(given, member, countMax, constraints)
  const statements = (given ?? [])
    .slice(0, countMax)
    .map((each, i) => statementInput((each ?? {}) as Input, `${member}.${i + 1}.member.`, constraints))
  const show = showCapacity(input, constraints)
  constraints.done()
  return { statements, show }
}

function statementInput(input: Input, prefix: string, constraints: Constraints): StatementInput {
  const statement = text(input, 'Statement')
  constraints.check(statement !== undefined, `${prefix}statement`, undefined, 'Member must not be null')
  checkLength(statement, `${prefix}statement`, statementLengthMax, constraints)
  const rawParameters = list(input, 'Parameters')
  checkCount(rawParameters, `${prefix}parameters`, undefined, constraints)
  const onFailure = oneOf(
    input,
    'ReturnValuesOnConditionCheckFailure',
    `${prefix}returnValuesOnConditionCheckFailure`,
    ['ALL_OLD', 'NONE'],
    constraints,
  )
  return {
    statement: statement ?? '',
    rawParameters: rawParameters ?? [],
    consistent: flag(input, 'ConsistentRead') ?? false,
    returnItem: onFailure === 'ALL_OLD',
  }
}

function checkLength(value: string | undefined, member: string, max: number, constraints: Constraints): void {
  if (value === undefined) return
  constraints.check(value.length >= 1, member, value, 'Member must have length greater than or equal to 1')
  constraints.check(value.length <= max, member, value, `Member must have length less than or equal to ${max}`)
}

function checkCount(
  given: readonly unknown[] | undefined,
  member: string,
  max: number | undefined,
  constraints: Constraints,
): void {
  if (given === undefined) return
  constraints.check(given.length >= 1, member, '[]', 'Member must have length greater than or equal to 1')
  if (max === undefined) return
  constraints.check(
    given.length <= max,
    member,
    `[${given.length} statements]`,
    `Member must have length less than or equal to ${max}`,
  )
}

/** Throws ValidationError. */
export function parametersOf({ rawParameters }: StatementInput): AttributeValue[] {
  return rawParameters.map(checkValue)
}

/** Throws ValidationError. */
export function compiled({ statement }: StatementInput, parameters: readonly AttributeValue[]): CompiledStatement {
  return compileStatement(parseStatement(statement), parameters)
}
