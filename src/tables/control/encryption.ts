import { createHash } from 'node:crypto'
import { validation } from '../requests/aws-error.js'
import { type Constraints, flag, type Input, object, oneOf, text } from '../requests/request.js'
import type { Encryption } from './table-details.js'

const invalid = (what: string): Error => validation(`One or more parameter values were invalid: ${what}`)

/** SSESpecification as it was sent. */
export interface WantedEncryption {
  readonly isOn: boolean
  readonly key?: string
}

/** Reads SSESpecification. Adds to the constraints. */
export function readEncryption(input: Input, constraints: Constraints): WantedEncryption | undefined {
  const given = object(input, 'SSESpecification')
  if (!given) return undefined
  const type = oneOf(given, 'SSEType', 'sSESpecification.sSEType', ['AES256', 'KMS'], constraints)
  const key = text(given, 'KMSMasterKeyId')
  constraints.check(
    key !== '',
    'sSESpecification.kMSMasterKeyId',
    key,
    'Member must have length greater than or equal to 1',
  )
  constraints.done()
  const isOn = flag(given, 'Enabled') ?? false
  if (!isOn && type !== undefined) throw invalid('SSEType can not be specified if Enabled is false')
  if (!isOn && key !== undefined) throw invalid('KMSMasterKeyId can not be specified if Enabled is false')
  if (type === 'AES256') throw invalid('SSEType AES256 is not supported')
  if (key !== undefined && type === undefined) throw invalid('SSEType KMS is required if KMSMasterKeyId is specified')
  return { isOn, ...(key === undefined ? {} : { key }) }
}

/** The encryption that a table has from then on; undefined is that by a key of AWS, which is not shown. */
export function encryptionOf(
  wanted: WantedEncryption,
  { region, accountId }: { readonly region: string; readonly accountId: string },
): Encryption | undefined {
  if (!wanted.isOn) return undefined
  const keys = `arn:aws:kms:${region}:${accountId}:`
  if (wanted.key === undefined) return { key: `${keys}key/${managedKey(region, accountId)}` }
  if (wanted.key.startsWith('arn:')) return { key: wanted.key }
  return { key: wanted.key.startsWith('alias/') ? `${keys}${wanted.key}` : `${keys}key/${wanted.key}` }
}

/** Throws where an update would change nothing. */
export function refuseSameEncryption(before: Encryption | undefined, wanted: Encryption | undefined): void {
  if (before === undefined && wanted === undefined) throw invalid('Table is already encrypted by default')
  if (before !== undefined && before.key === wanted?.key)
    throw invalid(
      'Table is already encrypted with given KMSMasterKeyId. Use KMSMasterKeyId parameter if you want to change Master Key',
    )
}

export function describeEncryption(encryption: Encryption | undefined, status = 'ENABLED'): object {
  if (!encryption) return {}
  return { SSEDescription: { Status: status, SSEType: 'KMS', KMSMasterKeyArn: encryption.key } }
}

/** The id of the key that AWS would manage for DynamoDB: the same for all tables of an account and region. */
function managedKey(region: string, accountId: string): string {
  const hash = createHash('sha256').update(`${region}:${accountId}:alias/aws/dynamodb`).digest('hex')
  return [
    hash.slice(0, 8),
    hash.slice(8, 12),
    `4${hash.slice(13, 16)}`,
    `a${hash.slice(17, 20)}`,
    hash.slice(20, 32),
  ].join('-')
}
