import { functionArnOf, type Mapping } from './mapping.js'
import type { MappingState } from './mapping-lifecycle.js'

/** EventSourceMappingConfiguration, as the Lambda API answers it. */
export interface MappingDescription {
  readonly UUID: string
  readonly EventSourceArn: string
  readonly EventSourceMappingArn: string
  readonly FunctionArn: string
  readonly State: MappingState
  readonly StateTransitionReason: string
  readonly LastProcessingResult: string
  /** Seconds since 1970. */
  readonly LastModified: number
  readonly StartingPosition: string
  readonly BatchSize: number
  readonly MaximumBatchingWindowInSeconds: number
  readonly ParallelizationFactor: number
  readonly MaximumRetryAttempts: number
  readonly MaximumRecordAgeInSeconds: number
  readonly BisectBatchOnFunctionError: boolean
  readonly TumblingWindowInSeconds: number
  readonly FunctionResponseTypes: readonly string[]
  readonly DestinationConfig: { readonly OnFailure: { readonly Destination?: string } }
  readonly FilterCriteria?: { readonly Filters: readonly { readonly Pattern: string }[] }
}

export function describe(
  { row, state }: Pick<Mapping, 'row' | 'state'>,
  home: { readonly region: string; readonly accountId: string },
): MappingDescription {
  const { id, source, settings, startingPosition, lastModified, reason, lastResult } = row
  const { onFailure, filters } = settings
  return {
    UUID: id,
    EventSourceArn: source.arn,
    EventSourceMappingArn: `arn:aws:lambda:${home.region}:${home.accountId}:event-source-mapping:${id}`,
    FunctionArn: functionArnOf(row, home),
    State: state,
    StateTransitionReason: reason,
    LastProcessingResult: lastResult,
    LastModified: lastModified / 1000,
    StartingPosition: startingPosition,
    BatchSize: settings.batchSize,
    MaximumBatchingWindowInSeconds: settings.maximumBatchingWindowInSeconds,
    ParallelizationFactor: settings.parallelizationFactor,
    MaximumRetryAttempts: settings.maximumRetryAttempts,
    MaximumRecordAgeInSeconds: settings.maximumRecordAgeInSeconds,
    BisectBatchOnFunctionError: settings.bisectBatchOnFunctionError,
    TumblingWindowInSeconds: settings.tumblingWindowInSeconds,
    FunctionResponseTypes: settings.functionResponseTypes,
    DestinationConfig: { OnFailure: onFailure === undefined ? {} : { Destination: onFailure } },
    ...(filters === undefined ? {} : { FilterCriteria: { Filters: filters.map((Pattern) => ({ Pattern })) } }),
  }
}
