import { randomUUID } from 'node:crypto'
import { Family, valuesOfFamily } from '../../commit/index.js'
import type { DurableGroup, DurableGroups } from '../../groups/index.js'
import type { Sequence, ShardId } from '../../log/index.js'
import { MillraceError, type Timer } from '../../runtime/index.js'
import type { Storage } from '../../storage/index.js'
import type { FollowedStream, Tables } from '../../tables/index.js'
import { type FunctionReference, functionReference, isHere, noFunctionName } from '../function-reference.js'
import type { FunctionInvoker } from '../types.js'
import { BufferBudget } from './buffer-budget.js'
import { decodeWindow, windowKey } from './checkpoints.js'
import type { OpenWindow } from './core/index.js'
import { describe, type MappingDescription } from './description.js'
import {
  checkPlace,
  type Destination,
  DestinationFiles,
  type DestinationRooms,
  openDestination,
  placeOf,
} from './destinations/index.js'
import { FunctionTurns } from './function-turns.js'
import { functionArnOf, Mapping, type MappingSurroundings } from './mapping.js'
import { invalidParameter, MappingFault, mappingInUse, mappingNotFound, noSuchFunction } from './mapping-fault.js'
import { defaultSettings, type MappingRequest, readRequest } from './mapping-request.js'
import {
  atHome,
  decodeMapping,
  type MappingRow,
  type MappingSource,
  mappingEffect,
  mappingGroupName,
  noMapping,
} from './mapping-row.js'

/** Each mapping is a group, and a reader of each shard. */
export const mappingsMax = 1000
/** Between two looks at streams that were switched off. */
const lookMs = 60_000
const userAction = 'User action'
const streamEnded = 'The event source was disabled or deleted, and all of its records were processed.'

export interface MappingsOptions extends Omit<MappingSurroundings, 'turns' | 'budget' | 'tables' | 'openDestination'> {
  readonly storage: Pick<Storage, 'scan'>
  readonly groups: DurableGroups
  readonly tables: Pick<Tables, 'awsStream' | 'latestStream' | 'horizonOf'> & DestinationRooms['tables']
  readonly functions: { has(functionName: string): boolean }
  readonly invoker: FunctionInvoker
  readonly kafka: DestinationRooms['kafka']
  readonly filesFolder: string
  readonly filesOutside: boolean
  /** Bytes of events that all mappings may read ahead. */
  readonly bufferBytesMax: number
}

export interface ListRequest {
  readonly functionName?: string
  readonly eventSourceArn?: string
  readonly marker?: string
  readonly maxItems?: number
}

type NamedFunction = Pick<MappingRow, 'functionName' | 'qualifier'>

/** Event source mappings: what calls functions with the records of tables' streams. */
export class Mappings {
  readonly #options: MappingsOptions
  readonly #mappings = new Map<string, Mapping>()
  readonly #around: MappingSurroundings
  readonly #files = new DestinationFiles()
  /** Functions and streams for which a mapping is being made. */
  readonly #making = new Set<string>()
  #timer: Timer | undefined
  #isClosed = false

  private constructor(options: MappingsOptions) {
    const { invoker, functions, clock, bufferBytesMax } = options
    this.#options = options
    this.#around = {
      ...options,
      turns: new FunctionTurns(invoker, (name) => functions.has(name), clock),
      budget: new BufferBudget(bufferBytesMax),
      openDestination: (place, mapping) => this.#openDestination(place, mapping),
    }
  }

  /** Throws DATA_DIR_NEWER. */
  static async open(options: MappingsOptions): Promise<Mappings> {
    const mappings = new Mappings(options)
    const windows = await storedWindows(options.storage)
    for (const value of await valuesOfFamily(options.storage, Family.mapping)) {
      const stored = atHome(decodeMapping(value), options)
      const group = options.groups.group(mappingGroupName(stored.id))
      const row = group || stored.isOver ? stored : { ...stored, enabled: false, isOver: true, reason: streamEnded }
      // It has no position any more. That is no reason for the daemon not to come up.
      if (row !== stored)
        options.logger.error(
          { mapping: row.id },
          'A mapping is stored without its group: it counts as one that is over.',
        )
      mappings.#mappings.set(row.id, mappings.#make(row, group, windows.get(row.id)))
    }
    return mappings
  }

  #make(row: MappingRow, group: DurableGroup | undefined, windows = new Map<ShardId, OpenWindow>()): Mapping {
    return new Mapping(row, group, windows, this.#around, (mapping) => this.#finish(mapping))
  }

  /** Starts every mapping that is enabled. Returns at once. */
  start(): void {
    for (const mapping of this.#mappings.values()) {
      if (mapping.row.isDeleting) void this.#remove(mapping)
      else mapping.start()
    }
    this.#lookLater()
  }

  #lookLater(): void {
    this.#timer = this.#options.clock.setTimeout(() => {
      for (const mapping of this.#mappings.values()) mapping.look()
      if (!this.#isClosed) this.#lookLater()
    }, lookMs)
  }

  /** Stops all of them; what is under way is finished first, for a while. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#timer?.cancel()
    await Promise.all([...this.#mappings.values()].map((mapping) => mapping.close()))
    await this.#files.close()
  }

  /** Bytes of events that all mappings hold read ahead. */
  get heldBytes(): number {
    return this.#around.budget.bytes
  }

  all(): readonly Mapping[] {
    return [...this.#mappings.values()]
  }

  /** Throws MappingFault. */
  get(id: string): Mapping {
    const mapping = this.#mappings.get(id.toLowerCase())
    if (!mapping) throw mappingNotFound()
    return mapping
  }

  describe(mapping: Mapping): MappingDescription {
    return describe(mapping, this.#options)
  }

  /** In the order in which they were made. */
  list({ functionName, eventSourceArn, marker, maxItems = 100 }: ListRequest): {
    readonly EventSourceMappings: readonly MappingDescription[]
    readonly NextMarker?: string
  } {
    const wanted = functionName === undefined ? undefined : this.#reference(functionName)
    const found = [...this.#mappings.values()]
      .filter(({ row }) => wanted === undefined || row.functionName === wanted.functionName)
      .filter(({ row }) => eventSourceArn === undefined || row.source.arn === eventSourceArn)
      .sort((a, b) => (placeIn(a) < placeIn(b) ? -1 : 1))
    const after = marker === undefined ? '' : placeOfMarker(marker)
    const rest = found.filter((mapping) => placeIn(mapping) > after)
    const page = rest.slice(0, maxItems)
    const last = page[page.length - 1]
    return {
      EventSourceMappings: page.map((mapping) => this.describe(mapping)),
      ...(last && rest.length > page.length ? { NextMarker: Buffer.from(placeIn(last)).toString('base64url') } : {}),
    }
  }

  /** CreateEventSourceMapping. Throws MappingFault. */
  async create(input: Readonly<Record<string, unknown>>, isConfigured = false): Promise<MappingDescription> {
    const request = readRequest(input)
    const stream = this.#streamOf(request)
    const reference = this.#known(request.functionName)
    const { functionName, qualifier } = reference
    const startingPosition = request.startingPosition as MappingRow['startingPosition']
    const settings = { ...defaultSettings, ...request.settings }
    this.#checkDestination(settings.onFailure)
    this.#checkNew(reference, stream)
    const name = `${functionName} ${stream.arn}`
    this.#making.add(name)
    try {
      const { clock, groups, tables } = this.#options
      const now = clock.now()
      const row: MappingRow = {
        functionName,
        qualifier,
        id: randomUUID(),
        source: sourceOf(stream),
        startingPosition,
        settings,
        enabled: request.enabled ?? true,
        createdAt: now,
        lastModified: now,
        reason: userAction,
        lastResult: 'No records processed',
        isOver: false,
        isConfigured,
      }
      const from = startingPosition === 'LATEST' ? 'newest' : { sequence: await tables.horizonOf(stream) }
      const rows = [mappingEffect(row)]
      const group = await groups.create(mappingGroupName(row.id), stream.stream, from, { kind: 'mapping', rows })
      const mapping = this.#make(row, group)
      this.#mappings.set(row.id, mapping)
      const description = this.describe(mapping)
      if (!this.#isClosed) mapping.start()
      return description
    } finally {
      this.#making.delete(name)
    }
  }

  /** Throws MappingFault. */
  #streamOf({ eventSourceArn, startingPosition }: MappingRequest): FollowedStream {
    if (eventSourceArn === undefined) throw invalidParameter('Unrecognized event source.')
    const service = eventSourceArn.split(':')[2]
    if (service !== 'dynamodb' || !/:table\/[^/]+\/stream\/.+/.test(eventSourceArn))
      throw invalidParameter(
        `Unrecognized event source. ${eventSourceArn} is not the ARN of a table's stream, and nothing else calls functions: what reads a stream of Millrace or a topic of Kafka is a pipeline.`,
      )
    if (startingPosition === undefined)
      throw invalidParameter(
        "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: Member must not be null.",
      )
    if (startingPosition === 'AT_TIMESTAMP')
      throw invalidParameter(`Unsupported starting position for arn type: ${eventSourceArn}`)
    const stream = this.#options.tables.awsStream(eventSourceArn)
    if (!stream) throw invalidParameter(`Stream not found: ${eventSourceArn}`)
    return stream
  }

  #reference(functionName: string): FunctionReference {
    const reference = functionReference(functionName, this.#options)
    if (!reference) throw new MappingFault('ValidationException', noFunctionName(functionName))
    if (!isHere(reference, this.#options)) throw noSuchFunction()
    return reference
  }

  #known(functionName: string | undefined): FunctionReference {
    if (functionName === undefined)
      throw new MappingFault(
        'ValidationException',
        "1 validation error detected: Value null at 'functionName' failed to satisfy constraint: Member must not be null",
      )
    const reference = this.#reference(functionName)
    if (!this.#options.functions.has(reference.functionName)) throw noSuchFunction()
    return reference
  }

  #checkDestination(destination: string | undefined): void {
    if (destination === undefined) return
    const place = placeOf(destination)
    if (!place)
      throw invalidParameter(
        `The destination ${shownText(destination)} is not supported: there are stream:NAME, table:NAME, kafka:CLUSTER/TOPIC, file:PATH and http(s) URLs.`,
      )
    try {
      checkPlace(place, this.#destinationRooms)
    } catch (error) {
      throw invalidParameter((error as Error).message)
    }
  }

  #checkNew(reference: NamedFunction, stream: Pick<FollowedStream, 'arn'>, except?: Mapping): void {
    const arn = functionArnOf(reference, this.#options)
    for (const mapping of this.#mappings.values()) {
      const isSame = mapping.row.source.arn === stream.arn && functionArnOf(mapping.row, this.#options) === arn
      if (mapping !== except && isSame) throw exists(stream.arn, reference.functionName, mapping.id)
    }
    if (this.#making.has(`${reference.functionName} ${stream.arn}`))
      throw new MappingFault('ResourceConflictException', 'The mapping is being created.')
    if (!except && this.#mappings.size + this.#making.size >= mappingsMax)
      throw new MappingFault('TooManyRequestsException', `There are ${mappingsMax} event source mappings already.`)
  }

  get #destinationRooms(): DestinationRooms {
    return { ...this.#options, files: this.#files }
  }

  #openDestination(text: string, mapping: string): Destination {
    const place = placeOf(text)
    if (!place) throw new MillraceError('BAD_REQUEST', `There is no destination ${shownText(text)}.`)
    return openDestination(place, this.#destinationRooms, `millrace-mapping-${mapping}`)
  }

  /** UpdateEventSourceMapping: what is not named stays. It goes on where it stands. Throws MappingFault. */
  async update(
    id: string,
    input: Readonly<Record<string, unknown>>,
    by: 'user' | 'configuration' = 'user',
  ): Promise<MappingDescription> {
    const mapping = this.get(id)
    if (by === 'user') refuseConfigured(mapping)
    const request = readRequest(input)
    const { row } = mapping
    const reference: NamedFunction = request.functionName === undefined ? row : this.#known(request.functionName)
    const settings = { ...row.settings, ...request.settings }
    if (request.settings.onFailure !== undefined) this.#checkDestination(settings.onFailure)
    if (request.functionName !== undefined) this.#checkNew(reference, row.source, mapping)
    const enabled = request.enabled ?? row.enabled
    if (enabled && !row.enabled && row.isOver) throw invalidParameter(`Stream not found: ${row.source.arn}`)
    const event = enabled === row.enabled ? 'update' : enabled ? 'enable' : 'disable'
    if (!mapping.takes(event)) throw mappingInUse('update')
    mapping.met(event)
    const { functionName, qualifier } = reference
    const lastModified = this.#options.clock.now()
    const changes = { functionName, qualifier, settings, enabled, lastModified, reason: userAction }
    const description = this.describe({ row: { ...row, ...changes }, state: mapping.state } as Mapping)
    const late = this.#isStoppingLong()
    await this.#store(mapping, changes)
    // What is under way comes to its end first; whoever asked is told that it will be so.
    const changed = this.#change(mapping)
    await Promise.race([changed, late])
    return description
  }

  /** Whether an update with this would change nothing. */
  isAsAsked({ row }: Mapping, input: Readonly<Record<string, unknown>>): boolean {
    const { settings, enabled = row.enabled } = readRequest(input)
    const wanted = { ...row.settings, ...settings }
    const isSame = (Object.keys(wanted) as (keyof typeof wanted)[]).every(
      (name) => JSON.stringify(wanted[name]) === JSON.stringify(row.settings[name]),
    )
    return isSame && enabled === row.enabled
  }

  /** A handler may run for minutes: the answer does not wait for that. */
  #isStoppingLong(): Promise<void> {
    return new Promise((resolve) => {
      this.#options.clock.setTimeout(resolve, 100)
    })
  }

  /** Makes durable what is answered: a kill does not take it back. Throws what the store does. */
  async #store(mapping: Mapping, changes: Partial<MappingRow>): Promise<void> {
    try {
      await this.#options.commit.submit({ rows: [mappingEffect(mapping.promised(changes))], essential: true })
    } catch (error) {
      mapping.refused()
      throw error
    }
  }

  async #change(mapping: Mapping): Promise<void> {
    await mapping.stop()
    mapping.changed()
    if (!this.#isClosed) mapping.start()
  }

  /** DeleteEventSourceMapping: it goes when nothing of it is under way any more. Throws MappingFault. */
  async delete(id: string, by: 'user' | 'configuration' = 'user'): Promise<MappingDescription> {
    const mapping = this.get(id)
    if (by === 'user') refuseConfigured(mapping)
    if (!mapping.takes('delete')) throw mappingInUse('delete')
    mapping.met('delete')
    const description = this.describe(mapping)
    const late = this.#isStoppingLong()
    await this.#store(mapping, { isDeleting: true })
    await Promise.race([this.#remove(mapping), late])
    return description
  }

  async #remove(mapping: Mapping): Promise<void> {
    try {
      await mapping.stop()
      const rows = [noMapping(mapping.id), ...noWindows(mapping)]
      const { groups, commit } = this.#options
      const name = mappingGroupName(mapping.id)
      if (groups.group(name)) await groups.delete(name, rows)
      else await commit.submit({ rows, essential: true })
      this.#mappings.delete(mapping.id)
    } catch (error) {
      this.#options.logger.warn({ mapping: mapping.id }, `A mapping could not be deleted: ${(error as Error).message}`)
    }
  }

  /** Its stream has come to its end: the group goes, so that it holds nothing of the log. */
  async #finish(mapping: Mapping): Promise<void> {
    const row = mapping.promised({ enabled: false, isOver: true, reason: streamEnded })
    await this.#options.groups.delete(mappingGroupName(mapping.id), [mappingEffect(row), ...noWindows(mapping)])
    mapping.changed()
  }
}

/** What the configuration keeps would be made again, and its records delivered again. */
function refuseConfigured({ row }: Mapping): void {
  if (row.isConfigured)
    throw new MappingFault(
      'ResourceInUseException',
      `The mapping ${row.id} follows from the configuration: change its trigger there, and start the daemon again.`,
    )
}

/** A URL that cannot be read may have secrets anywhere. */
const shownText = (destination: string): string => (/^https?:/i.test(destination) ? 'http(s)' : destination)

function sourceOf({ arn, tableName, view, stream, first, last }: FollowedStream): MappingSource {
  return { arn, tableName, view, stream, first: first as Sequence, ...(last === undefined ? {} : { last }) }
}

const noWindows = (mapping: Mapping) =>
  [...mapping.windowShards].map((shard) => ({ key: windowKey(mapping.id, shard), value: undefined }))

/** Sorts in the order of creation, which never changes: pages stay put while mappings come and go. */
const placeIn = ({ row }: Mapping): string => `${String(row.createdAt).padStart(16, '0')} ${row.id}`

function placeOfMarker(marker: string): string {
  const place = Buffer.from(marker, 'base64url').toString()
  if (marker === '' || /^\d{16,} [0-9a-f-]{36}$/.test(place)) return place
  throw invalidParameter('Invalid Marker.')
}

const exists = (arn: string, functionName: string, id: string): MappingFault =>
  new MappingFault(
    'ResourceConflictException',
    `The event source arn (" ${arn} ") and function (" ${functionName} ") provided mapping already exists. Please update or delete the existing mapping with UUID ${id}`,
  )

async function storedWindows(storage: Pick<Storage, 'scan'>): Promise<Map<string, Map<ShardId, OpenWindow>>> {
  const windows = new Map<string, Map<ShardId, OpenWindow>>()
  const family = Family.mappingWindow
  const range = { gte: Buffer.from([family]), lt: Buffer.from([family + 1]), bytesMax: 1 << 20 }
  for await (const page of storage.scan(range))
    page.keys.forEach((key, i) => {
      const id = idText(key.subarray(1, 17))
      const shard = key.readUInt32BE(17) as ShardId
      const ofMapping = windows.get(id) ?? new Map<ShardId, OpenWindow>()
      windows.set(id, ofMapping.set(shard, decodeWindow(page.values[i] as Buffer)))
    })
  return windows
}

const idText = (bytes: Buffer): string =>
  bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
