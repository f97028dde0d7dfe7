import { Family, type RowEffect } from '../../commit/index.js'
import type { Sequence, StreamId } from '../../log/index.js'
import { MillraceError } from '../../runtime/index.js'
import type { ViewType } from '../../tables/index.js'
import { idBytes } from './checkpoints.js'

/** What a user sets of a mapping, with AWS's names. */
export interface MappingSettings {
  readonly batchSize: number
  readonly maximumBatchingWindowInSeconds: number
  readonly parallelizationFactor: number
  /** -1: until it succeeds. */
  readonly maximumRetryAttempts: number
  /** -1: any age. */
  readonly maximumRecordAgeInSeconds: number
  readonly bisectBatchOnFunctionError: boolean
  readonly tumblingWindowInSeconds: number
  readonly functionResponseTypes: readonly string[]
  /** Patterns as they were given; undefined: no filter was named. */
  readonly filters: readonly string[] | undefined
  /** Where what is given up goes; undefined: nowhere. */
  readonly onFailure: string | undefined
}

/** The AWS stream of a mapping: what must be known when it cannot be asked for any more. */
export interface MappingSource {
  readonly arn: string
  readonly tableName: string
  readonly view: ViewType
  readonly stream: StreamId
  readonly first: Sequence
  readonly last?: Sequence
}

/** What is remembered of a mapping; its positions are those of its group. */
export interface MappingRow {
  readonly id: string
  readonly functionName: string
  /** As it was named: `$LATEST` or nothing. */
  readonly qualifier: string | undefined
  readonly source: MappingSource
  readonly startingPosition: 'TRIM_HORIZON' | 'LATEST'
  readonly settings: MappingSettings
  readonly enabled: boolean
  /** Milliseconds since 1970. */
  readonly createdAt: number
  readonly lastModified: number
  readonly reason: string
  readonly lastResult: string
  /** The stream has come to its end, and the group is gone. */
  readonly isOver: boolean
  /** Somebody was told that it is being deleted: a start goes on with that. */
  readonly isDeleting?: boolean
  /** It follows from the configuration file, which changes it and takes it away. */
  readonly isConfigured: boolean
}

const version = 1

/** `mapping`: family, id (16 bytes) -> version u8, JSON of the row. */
const mappingKey = (id: string): Buffer => Buffer.concat([Buffer.from([Family.mapping]), idBytes(id)])

export const mappingEffect = (row: MappingRow): RowEffect => ({
  key: mappingKey(row.id),
  value: Buffer.concat([Buffer.from([version]), Buffer.from(JSON.stringify(row))]),
})

export const noMapping = (id: string): RowEffect => ({ key: mappingKey(id), value: undefined })

export function decodeMapping(value: Buffer): MappingRow {
  if (value[0] !== version)
    throw new MillraceError(
      'DATA_DIR_NEWER',
      `A stored mapping has the row version ${value[0]}; this version of Millrace knows ${version}.`,
    )
  // What is undefined is not in JSON.
  const row = JSON.parse(value.toString('utf8', 1)) as MappingRow
  const { settings, qualifier } = row
  return { ...row, qualifier, settings: { ...settings, filters: settings.filters, onFailure: settings.onFailure } }
}

/**
 * The row with its stream under the names of this region and account. Those are the configuration's, which may have changed since
 * it was written, and a mapping whose stream has another name than its table's is one that nobody finds.
 */
export function atHome(row: MappingRow, home: { readonly region: string; readonly accountId: string }): MappingRow {
  const arn = row.source.arn.replace(/^(arn:aws:dynamodb):[^:]*:[^:]*:/, `$1:${home.region}:${home.accountId}:`)
  return { ...row, source: { ...row.source, arn } }
}

/** The group that holds the positions of a mapping. */
export const mappingGroupName = (id: string): string => `mapping:${id}`
