import { MillraceError } from '../../runtime/index.js'
import type { Mapping, MappingStatistics } from './mapping.js'
import { MappingFault, type MappingFaultType } from './mapping-fault.js'

/** A mapping as `/v1/mappings`, the command and the configuration name its parts: AWS's names with a small first letter. */
export interface NativeMapping {
  readonly function?: string
  readonly eventSourceArn?: string
  readonly startingPosition?: string
  readonly enabled?: boolean
  readonly batchSize?: number
  readonly maximumBatchingWindowInSeconds?: number
  readonly parallelizationFactor?: number
  readonly maximumRetryAttempts?: number
  readonly maximumRecordAgeInSeconds?: number
  readonly bisectBatchOnFunctionError?: boolean
  readonly functionResponseTypes?: readonly string[]
  readonly tumblingWindowInSeconds?: number
  readonly filterCriteria?: { readonly filters?: readonly { readonly pattern: string }[] }
  readonly onFailure?: string
}

/** Members of a request that are there, beside the table that may stand for the ARN. */
export const nativeMembers = [
  'function',
  'eventSourceArn',
  'startingPosition',
  'enabled',
  'batchSize',
  'maximumBatchingWindowInSeconds',
  'parallelizationFactor',
  'maximumRetryAttempts',
  'maximumRecordAgeInSeconds',
  'bisectBatchOnFunctionError',
  'functionResponseTypes',
  'tumblingWindowInSeconds',
  'filterCriteria',
  'onFailure',
] as const

/** The same as a request of the Lambda API. Filters and destination that are not named are taken away. */
export function requestOf(given: NativeMapping): Record<string, unknown> {
  return { ...partOf(given), ...filtersOf(given), ...destinationOf(given) }
}

/** The same for a change: what is not named stays. */
export function changeOf(given: NativeMapping): Record<string, unknown> {
  return {
    ...partOf(given),
    ...('filterCriteria' in given ? filtersOf(given) : {}),
    ...('onFailure' in given ? destinationOf(given) : {}),
  }
}

function partOf(given: NativeMapping): Record<string, unknown> {
  const { function: FunctionName, filterCriteria: _, onFailure: __, ...rest } = given
  const input: Record<string, unknown> = FunctionName === undefined ? {} : { FunctionName }
  for (const [name, value] of Object.entries(rest)) input[`${name.slice(0, 1).toUpperCase()}${name.slice(1)}`] = value
  return input
}

function filtersOf({ filterCriteria }: NativeMapping): Record<string, unknown> {
  // Whatever it holds, the request says what is wrong with it.
  const filters = filterCriteria?.filters
  const given = Array.isArray(filters)
    ? filters.map((filter: { readonly pattern?: unknown } | null) => ({ Pattern: filter?.pattern }))
    : filters
  return { FilterCriteria: { Filters: given ?? [] } }
}

const destinationOf = ({ onFailure }: NativeMapping): Record<string, unknown> => ({
  DestinationConfig: { OnFailure: onFailure === undefined || onFailure === null ? {} : { Destination: onFailure } },
})

/** What is shown of a mapping. */
export function nativeView({ row, state, lastError }: Mapping, statistics: MappingStatistics): object {
  const { id, functionName, source, settings, startingPosition, enabled, isConfigured } = row
  const { filters, onFailure, ...numbers } = settings
  return {
    id,
    function: functionName,
    table: source.tableName,
    eventSourceArn: source.arn,
    state,
    stateTransitionReason: row.reason,
    lastProcessingResult: row.lastResult,
    ...(lastError ? { lastError: { code: lastError.code, message: lastError.message, remedy: lastError.remedy } } : {}),
    enabled,
    isConfigured,
    startingPosition,
    ...numbers,
    ...(filters ? { filterCriteria: { filters: filters.map((pattern) => ({ pattern })) } } : {}),
    ...(onFailure === undefined ? {} : { onFailure }),
    createdAt: row.createdAt,
    lastModified: row.lastModified,
    statistics,
  }
}

const codes: Readonly<Record<MappingFaultType, MillraceError['code']>> = {
  InvalidParameterValueException: 'BAD_REQUEST',
  ValidationException: 'BAD_REQUEST',
  ResourceConflictException: 'ALREADY_EXISTS',
  ResourceInUseException: 'CONFLICT',
  ResourceNotFoundException: 'NOT_FOUND',
  TooManyRequestsException: 'TOO_BUSY',
}

/** What is refused in AWS's words, for the native API. */
export function asNativeError(thrown: unknown): unknown {
  if (!(thrown instanceof MappingFault)) return thrown
  return new MillraceError(codes[thrown.type], thrown.message, { cause: thrown })
}
