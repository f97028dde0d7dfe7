import { expect } from 'vitest'
import type { Random } from '../../simulation/random.js'
import { holds, select } from '../naive/evaluate.js'
import { Renderer } from '../naive/render.js'
import { type Item, itemText } from '../naive/values.js'
import type { Answer, Backend } from './backend.js'
import { batchRequest, queryRequest, scanRequest, writeRequest } from './requests.js'
import type { Step } from './steps.js'
import type { ModelTable, Outcome, Write } from './table.js'

/** What an answer says, or a throw with the answer in it. */
function bodyOf(answer: Answer): Answer['body'] {
  if (answer.error !== undefined) throw new Error(`${answer.error}: ${answer.message}`)
  return answer.body
}

const found = (item: unknown): string => itemText(item as Item | undefined)

function checkWrite(request: readonly [string, object], answer: Answer, outcome: Outcome): void {
  const about = JSON.stringify(request)
  if (outcome.is === 'refused') {
    expect([about, answer.error]).toEqual([about, 'ValidationException'])
  } else if (outcome.is === 'failed') {
    expect([about, answer.error]).toEqual([about, 'ConditionalCheckFailedException'])
    const shows = 'ReturnValuesOnConditionCheckFailure' in request[1]
    expect([about, found(answer.body.Item)]).toEqual([about, found(shows ? outcome.item : undefined)])
  } else {
    expect([about, answer.error, answer.message]).toEqual([about, undefined, undefined])
    expect([about, found(answer.body.Attributes)]).toEqual([about, found(outcome.attributes)])
    expect(answer.body.ConsumedCapacity).toMatchObject({ CapacityUnits: outcome.units })
  }
}

/** Takes steps on a table of the backend and on the model, and holds the answers against each other. */
export class Run {
  readonly #backend: Backend
  readonly #table: ModelTable
  readonly #random: Random

  constructor(backend: Backend, table: ModelTable, random: Random) {
    this.#backend = backend
    this.#table = table
    this.#random = random
  }

  async take(step: Step): Promise<void> {
    const table = this.#table
    switch (step.do) {
      case 'write': {
        const request = writeRequest(table, step.write, this.#random)
        return checkWrite(request, await this.#backend.ask(...request), table.apply(step.write))
      }
      case 'again': {
        const item = table.get(step.key)
        if (item === undefined) return
        const attributes = Object.fromEntries(Object.entries(item).reverse())
        const write: Write = { do: 'put', key: step.key, attributes, returns: 'NONE', shows: false }
        return this.take(step.batched ? { do: 'batch', writes: [write] } : { do: 'write', write })
      }
      case 'batch': {
        const body = bodyOf(await this.#backend.ask(...batchRequest(table, step.writes)))
        expect(body).toEqual({ UnprocessedItems: {} })
        for (const write of step.writes) table.apply(write)
        return
      }
      case 'get':
        return this.#get(step)
      case 'batchGet': {
        const RequestItems = { [table.name]: { Keys: step.keys } }
        const body = bodyOf(await this.#backend.ask('BatchGetItem', { RequestItems }))
        const items = (body.Responses as Record<string, Item[]>)[table.name] as Item[]
        const wanted = step.keys.map((key) => table.get(key)).filter((item) => item !== undefined)
        expect(items.map(itemText).sort()).toEqual(wanted.map(itemText).sort())
        return
      }
      case 'query':
        return this.#query(step)
      case 'scan':
        return this.#scan(step)
      case 'split':
        return this.#backend.split(table.name)
      case 'crash':
        return this.#crash(step)
    }
  }

  async #get({ key, projection }: Extract<Step, { do: 'get' }>): Promise<void> {
    const renderer = new Renderer(this.#random)
    const text = projection && renderer.projection(projection)
    const body = bodyOf(
      await this.#backend.ask('GetItem', {
        TableName: this.#table.name,
        Key: key,
        ...(text ? { ProjectionExpression: text } : {}),
        ...renderer.placeholders,
      }),
    )
    const item = this.#table.get(key)
    expect(found(body.Item)).toBe(found(item && projection ? select(projection, item) : item))
  }

  async #query(step: Extract<Step, { do: 'query' }>): Promise<void> {
    const inOrder = this.#table.partition(step.pk, step.range)
    const wanted = step.reverse ? [...inOrder].reverse() : inOrder
    const { items, scanned } = await this.#pages(
      'Query',
      queryRequest(this.#table, step, this.#random),
      step.limit,
      wanted.length,
    )
    expect(scanned).toBe(wanted.length)
    expect(items.map(itemText)).toEqual(wanted.filter((item) => !step.filter || holds(step.filter, item)).map(itemText))
  }

  async #scan(step: Extract<Step, { do: 'scan' }>): Promise<void> {
    const request = scanRequest(this.#table, step, this.#random)
    const all = this.#table.all()
    const seen: Item[] = []
    let total = 0
    for (let Segment = 0; Segment < step.segments; Segment++) {
      const segment = step.segments === 1 ? {} : { Segment, TotalSegments: step.segments }
      const { items, scanned } = await this.#pages('Scan', { ...request, ...segment }, step.limit, undefined)
      seen.push(...items)
      total += scanned
    }
    expect(total).toBe(all.length)
    const wanted = all.filter((item) => !step.filter || holds(step.filter, item))
    expect(seen.map(itemText).sort()).toEqual(wanted.map(itemText).sort())
  }

  /** All pages of a request; `count` is how many items there are to look at, where that is known. */
  async #pages(operation: string, request: object, limit: number | undefined, count: number | undefined) {
    const items: Item[] = []
    let scanned = 0
    let ExclusiveStartKey: unknown
    do {
      const body = bodyOf(
        await this.#backend.ask(operation, { ...request, ...(ExclusiveStartKey ? { ExclusiveStartKey } : {}) }),
      )
      const page = body.Items as Item[]
      const looked = body.ScannedCount as number
      expect(body.Count).toBe(page.length)
      expect(looked).toBeGreaterThanOrEqual(page.length)
      if (limit !== undefined) {
        expect(looked).toBeLessThanOrEqual(limit)
        // As on AWS a page that is full names a last key, also when nothing follows.
        expect(body.LastEvaluatedKey !== undefined).toBe(looked === limit)
        if (count !== undefined) expect(looked).toBe(Math.min(limit, count - scanned))
      } else {
        expect(body.LastEvaluatedKey).toBeUndefined()
      }
      items.push(...page)
      scanned += looked
      ExclusiveStartKey = body.LastEvaluatedKey
    } while (ExclusiveStartKey)
    return { items, scanned }
  }

  /** Writes of different items at once, and the end of the process in their middle: each is whole or not at all. */
  async #crash(step: Extract<Step, { do: 'crash' }>): Promise<void> {
    const requests = step.writes.map((write) => writeRequest(this.#table, write, this.#random))
    const answers = await this.#backend.crash(requests, step.how)
    for (const [i, write] of step.writes.entries()) {
      const answer = answers[i]
      if (answer) checkWrite(requests[i] as readonly [string, object], answer, this.#table.outcome(write))
      if (answer || (await this.#isDone(write))) this.#table.apply(write)
      await this.#get({ do: 'get', key: write.key })
    }
  }

  /** Whether a write that nobody heard of was done. */
  async #isDone(write: Write): Promise<boolean> {
    const outcome = this.#table.outcome(write)
    if (outcome.is !== 'done') return false
    const body = bodyOf(await this.#backend.ask('GetItem', { TableName: this.#table.name, Key: write.key }))
    return found(body.Item) === found(outcome.after)
  }
}
