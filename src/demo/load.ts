import { setTimeout as sleep } from 'node:timers/promises'
import type { WriteRequest } from '@aws-sdk/client-dynamodb'
import { type Aws, attemptsMax, backOffMs } from './aws.js'
import { flightsTable, getsDelayLater, isCancelled, keyOf, loadedItem, writesOf } from './expectation.js'
import type { Flights } from './flights.js'

/** What BatchWriteItem takes at most. */
const batchItemsMax = 25
/** Requests under way at once. */
const requestsInFlight = 32
/** An update or delete waits until this many others are due, so that it comes well after the load of its flight. */
const dueMin = 500

type Job = { readonly kind: 'put'; readonly first: number; readonly last: number } | DueJob
type DueJob = { readonly kind: 'update' | 'delete'; readonly number: number }

/**
 * Hands out the writes. A flight's update comes after its put has been acknowledged and its delete after its update, so
 * that the changes to expect are exactly known; everything else is free to overtake.
 */
export class WriteSchedule {
  readonly #rows: number
  #nextNumber = 1
  #due: DueJob[] = []
  #dueFrom = 0
  #inFlight = 0

  constructor(rows: number) {
    this.#rows = rows
  }

  /** The next job; 'wait' when all that is left depends on jobs under way; undefined when everything is done. */
  next(): Job | 'wait' | undefined {
    const isLoaded = this.#nextNumber > this.#rows
    const due = this.#due.length - this.#dueFrom
    if (due > dueMin || (isLoaded && due > 0)) {
      this.#inFlight++
      const job = this.#due[this.#dueFrom++]!
      if (this.#dueFrom > 10_000) {
        this.#due = this.#due.slice(this.#dueFrom)
        this.#dueFrom = 0
      }
      return job
    }
    if (isLoaded) return this.#inFlight > 0 ? 'wait' : undefined
    const first = this.#nextNumber
    const last = Math.min(first + batchItemsMax - 1, this.#rows)
    this.#nextNumber = last + 1
    this.#inFlight++
    return { kind: 'put', first, last }
  }

  /** The job has been acknowledged. Returns how many writes it was. */
  acknowledged(job: Job): number {
    this.#inFlight--
    if (job.kind === 'put') {
      for (let number = job.first; number <= job.last; number++) {
        if (getsDelayLater(number)) this.#due.push({ kind: 'update', number })
      }
      return job.last - job.first + 1
    }
    if (job.kind === 'update' && isCancelled(job.number)) this.#due.push({ kind: 'delete', number: job.number })
    return 1
  }
}

/**
 * Writes everything. `onWritten` gets the number of writes acknowledged so far; whoever has made them waits for what it
 * returns. Returns the number of all writes.
 */
export async function load(
  aws: Aws,
  flights: Flights,
  onWritten: (writes: number) => Promise<void> | undefined,
): Promise<number> {
  const schedule = new WriteSchedule(flights.length)
  let writes = 0
  const worker = async (): Promise<void> => {
    for (let job = schedule.next(); job !== undefined; job = schedule.next()) {
      if (job === 'wait') {
        await sleep(1)
        continue
      }
      await perform(aws, flights, job)
      writes += schedule.acknowledged(job)
      await onWritten(writes)
    }
  }
  await Promise.all(Array.from({ length: requestsInFlight }, worker))
  if (writes !== writesOf(flights.length))
    throw new Error(`${writes} writes were made instead of ${writesOf(flights.length)}`)
  return writes
}

async function perform(aws: Aws, flights: Flights, job: Job): Promise<void> {
  if (job.kind === 'put') return putBatch(aws, flights, job.first, job.last)
  const flight = flights.at(job.number)
  const target = { TableName: flightsTable, Key: keyOf(flight) }
  if (job.kind === 'delete') {
    await aws.request(({ tables }) => tables.send(new aws.dynamodb.DeleteItemCommand(target)))
    return
  }
  const update = {
    ...target,
    UpdateExpression: 'SET delay = :delay',
    ExpressionAttributeValues: { ':delay': { N: String(flight.delay) } },
  }
  await aws.request(({ tables }) => tables.send(new aws.dynamodb.UpdateItemCommand(update)))
}

async function putBatch(aws: Aws, flights: Flights, first: number, last: number): Promise<void> {
  let requests: WriteRequest[] = []
  for (let number = first; number <= last; number++) {
    requests.push({ PutRequest: { Item: loadedItem(flights.at(number)) } })
  }
  for (let attempt = 1; requests.length > 0; attempt++) {
    if (attempt > attemptsMax)
      throw new Error(`BatchWriteItem left ${requests.length} items unprocessed ${attemptsMax} times in a row`)
    if (attempt > 1) await sleep(backOffMs(attempt))
    const RequestItems = { [flightsTable]: requests }
    const answer = await aws.request(({ tables }) =>
      tables.send(new aws.dynamodb.BatchWriteItemCommand({ RequestItems })),
    )
    requests = answer.UnprocessedItems?.[flightsTable] ?? []
  }
}
