import { AwsError, accessDenied, validation } from '../requests/aws-error.js'
import type { Input } from '../requests/request.js'

/** Whose resources are here. */
export interface Home {
  readonly region: string
  readonly accountId: string
}

const arnStart = 'arn:'

/**
 * Refuses tables that a request names by the ARN of something else, of another region or another account. An ARN that
 * passes is taken for its last part wherever the name is read.
 */
export function refuseForeignArns(operation: string, input: Input, home: Home): void {
  if (operation !== 'CreateTable') refuseForeignArn(input.TableName, home)
  if (operation === 'BatchGetItem' || operation === 'BatchWriteItem') {
    for (const name of Object.keys(asObject(input.RequestItems))) refuseForeignArn(name, home)
  } else if (operation === 'TransactGetItems' || operation === 'TransactWriteItems') {
    for (const item of Array.isArray(input.TransactItems) ? input.TransactItems : [])
      for (const action of Object.values(asObject(item))) refuseForeignArn(asObject(action).TableName, home)
  }
}

const asObject = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {}

function refuseForeignArn(name: unknown, home: Home): void {
  if (typeof name !== 'string' || !name.startsWith(arnStart)) return
  const refuse = (what: string) => validation(`1 validation error detected: ${what} in '${name}'`)
  const [, partition, service, region, account, resource = ''] = name.split(':')
  if (!partition?.startsWith('aws')) throw refuse('Invalid AWS partition')
  if (service !== 'dynamodb') throw refuse('Invalid AWS service')
  if (region !== home.region) throw refuse('Invalid AWS region')
  if (!/^table\/[^/]+$/.test(resource)) throw refuse('Invalid resource type')
  if (account !== home.accountId) throw accessDenied()
}

/** The table whose tags an ARN names. Throws ValidationException, AccessDeniedException. */
export function taggedTable(arn: string | undefined, home: Home): string {
  if (arn === undefined) throw validation('Invalid TableArn')
  const invalid = (what: string) => validation(`One or more parameter values were invalid: ${what}`)
  if (!arn.startsWith(arnStart)) throw invalid(`ARNs must start with 'arn:': ${arn}`)
  const [, , service, region, account, ...rest] = arn.split(':')
  if (service !== 'dynamodb') throw invalid(`Provided Arn is not a DynamoDB resource arn: ${arn}`)
  const [kind, name = '', part, ...more] = rest.join(':').split('/')
  if (kind !== 'table' || (part !== undefined && (part !== 'stream' || more.length === 0)))
    throw invalid(`Invalid resource arn provided, only table or stream is accepted. Provided resource arn: ${arn}`)
  if (region !== home.region || name.length < 3)
    throw validation(`Invalid TableArn: Invalid ResourceArn provided as input ${arn}`)
  if (account !== home.accountId) throw accessDenied()
  if (part !== undefined) throw resourceArnNotFound(arn)
  return name
}

export const resourceArnNotFound = (arn: string): AwsError =>
  new AwsError(
    'com.amazonaws.dynamodb.v20120810#ResourceNotFoundException',
    `Requested resource not found: ResourceArn: ${arn} not found`,
  )
