import { checkPattern, PatternError } from './filters/index.js'
import { isObject } from './json-object.js'
import { invalidParameter, MappingFault } from './mapping-fault.js'
import type { MappingSettings } from './mapping-row.js'

/** What CreateEventSourceMapping and UpdateEventSourceMapping say, once it was checked. */
export interface MappingRequest {
  readonly functionName: string | undefined
  readonly eventSourceArn: string | undefined
  readonly startingPosition: string | undefined
  readonly enabled: boolean | undefined
  /** What the request names; the rest is as before, or as by default. */
  readonly settings: Partial<MappingSettings>
}

/** Bounds: https://docs.aws.amazon.com/lambda/latest/api/API_CreateEventSourceMapping.html */
const numbers = [
  ['BatchSize', 'batchSize', 1, 10_000],
  ['MaximumBatchingWindowInSeconds', 'maximumBatchingWindowInSeconds', 0, 300],
  ['ParallelizationFactor', 'parallelizationFactor', 1, 10],
  ['MaximumRetryAttempts', 'maximumRetryAttempts', -1, 10_000],
  ['MaximumRecordAgeInSeconds', 'maximumRecordAgeInSeconds', -1, 604_800],
  ['TumblingWindowInSeconds', 'tumblingWindowInSeconds', 0, 900],
] as const

/** A record that is younger is never too old. */
const recordAgeMin = 60
/** The quota of AWS, raised on request. */
const filtersMax = 10
const patternLengthMax = 4096
const positions = ['TRIM_HORIZON', 'LATEST', 'AT_TIMESTAMP']
/** What AWS takes for sources of other kinds, and what is not there. */
const foreign = [
  'AmazonManagedKafkaEventSourceConfig',
  'DocumentDBEventSourceConfig',
  'KMSKeyArn',
  'LoggingConfig',
  'MetricsConfig',
  'ProvisionedPollerConfig',
  'Queues',
  'ScalingConfig',
  'SelfManagedEventSource',
  'SelfManagedKafkaEventSourceConfig',
  'SourceAccessConfigurations',
  'StartingPositionTimestamp',
  'Tags',
  'Topics',
]

export const defaultSettings: MappingSettings = {
  batchSize: 100,
  maximumBatchingWindowInSeconds: 0,
  parallelizationFactor: 1,
  maximumRetryAttempts: -1,
  maximumRecordAgeInSeconds: -1,
  bisectBatchOnFunctionError: false,
  tumblingWindowInSeconds: 0,
  functionResponseTypes: [],
  filters: undefined,
  onFailure: undefined,
}

type Input = Readonly<Record<string, unknown>>

/** Throws MappingFault with AWS's words. */
export function readRequest(input: Input): MappingRequest {
  const faults: string[] = []
  const startingPosition = textOf(input, 'StartingPosition')
  if (startingPosition !== undefined && !positions.includes(startingPosition))
    faults.push(
      fault('startingPosition', startingPosition, `Member must satisfy enum value set: [${positions.join(', ')}]`),
    )
  const settings = { ...numbersOf(input, faults), ...responseTypesOf(input, faults), ...bisectOf(input) }
  if (faults.length > 0)
    throw new MappingFault(
      'ValidationException',
      `${faults.length} validation error${faults.length > 1 ? 's' : ''} detected: ${faults.join('; ')}`,
    )
  const other = foreign.find((name) => input[name] !== undefined && input[name] !== null)
  if (other !== undefined) throw invalidParameter(`Unsupported parameter ${other} for given event source mapping type.`)
  return {
    functionName: textOf(input, 'FunctionName'),
    eventSourceArn: textOf(input, 'EventSourceArn'),
    startingPosition,
    enabled: booleanOf(input, 'Enabled'),
    settings: { ...settings, ...filtersOf(input), ...destinationOf(input) },
  }
}

function numbersOf(input: Input, faults: string[]): Partial<MappingSettings> {
  const found: Record<string, number> = {}
  for (const [name, member, least, most] of numbers) {
    const value = input[name]
    if (value === undefined || value === null) continue
    if (typeof value !== 'number' || !Number.isInteger(value))
      throw new MappingFault('ValidationException', `${name} is no whole number`)
    if (value < least) faults.push(fault(member, value, `Member must have value greater than or equal to ${least}`))
    else if (value > most) faults.push(fault(member, value, `Member must have value less than or equal to ${most}`))
    found[member] = value
  }
  const age = found.maximumRecordAgeInSeconds
  if (age !== undefined && age >= 0 && age < recordAgeMin)
    faults.push(
      fault(
        'maximumRecordAgeInSeconds',
        age,
        `Member must be -1, or have value greater than or equal to ${recordAgeMin}`,
      ),
    )
  return found
}

function responseTypesOf(input: Input, faults: string[]): Partial<MappingSettings> {
  const types = input.FunctionResponseTypes
  if (types === undefined || types === null) return {}
  if (!Array.isArray(types) || types.length > 1 || types.some((type) => type !== 'ReportBatchItemFailures'))
    faults.push(
      fault(
        'functionResponseTypes',
        `[${Array.isArray(types) ? types.join(', ') : String(types)}]`,
        'Member must satisfy constraint: [Member must satisfy enum value set: [ReportBatchItemFailures]]',
      ),
    )
  return { functionResponseTypes: types as string[] }
}

function bisectOf(input: Input): Partial<MappingSettings> {
  const bisects = booleanOf(input, 'BisectBatchOnFunctionError')
  return bisects === undefined ? {} : { bisectBatchOnFunctionError: bisects }
}

/** An object without filters takes them away. */
function filtersOf(input: Input): Partial<MappingSettings> {
  const criteria = objectOf(input, 'FilterCriteria')
  if (!criteria) return {}
  const filters = criteria.Filters ?? []
  if (!Array.isArray(filters)) throw noPattern()
  if (filters.length > filtersMax)
    throw invalidParameter(
      `Maximum number of filters exceeded. An event source mapping can have up to ${filtersMax} filters.`,
    )
  if (filters.length === 0) return { filters: undefined }
  return {
    filters: filters.map((filter: unknown, i) => {
      const pattern = isObject(filter) ? filter.Pattern : undefined
      if (typeof pattern !== 'string') throw noPattern()
      if (pattern.length > patternLengthMax)
        throw new MappingFault(
          'ValidationException',
          `1 validation error detected: ${fault(`filterCriteria.filters.${i + 1}.member.pattern`, pattern, `Member must have length less than or equal to ${patternLengthMax}`)}`,
        )
      mustBePattern(pattern)
      return pattern
    }),
  }
}

function mustBePattern(pattern: string): void {
  try {
    checkPattern(pattern)
  } catch (error) {
    throw error instanceof PatternError ? noPattern() : error
  }
}

const noPattern = (): MappingFault => invalidParameter('Invalid filter pattern definition.')

/** An empty destination takes it away. */
function destinationOf(input: Input): Partial<MappingSettings> {
  const config = objectOf(input, 'DestinationConfig')
  if (!config) return {}
  if (isObject(config.OnSuccess) && config.OnSuccess.Destination !== undefined)
    throw invalidParameter('Unsupported DestinationConfig parameter for given event source mapping type.')
  const destination = isObject(config.OnFailure) ? config.OnFailure.Destination : undefined
  if (destination === undefined || destination === null || destination === '') return { onFailure: undefined }
  if (typeof destination !== 'string')
    throw new MappingFault('ValidationException', 'DestinationConfig.OnFailure.Destination is no text')
  return { onFailure: destination }
}

const fault = (member: string, value: unknown, constraint: string): string =>
  `Value '${String(value)}' at '${member}' failed to satisfy constraint: ${constraint}`

function textOf(input: Input, name: string): string | undefined {
  const value = input[name]
  if (value === undefined || value === null) return undefined
  if (typeof value !== 'string') throw new MappingFault('ValidationException', `${name} is no text`)
  return value
}

function booleanOf(input: Input, name: string): boolean | undefined {
  const value = input[name]
  if (value === undefined || value === null) return undefined
  if (typeof value !== 'boolean') throw new MappingFault('ValidationException', `${name} is neither true nor false`)
  return value
}

function objectOf(input: Input, name: string): Input | undefined {
  const value = input[name]
  if (value === undefined || value === null) return undefined
  if (!isObject(value)) throw new MappingFault('ValidationException', `${name} is no object`)
  return value
}
