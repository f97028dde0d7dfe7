import { expect } from 'vitest'
import type { Random } from '../../simulation/random.js'
import { holds, select } from '../naive/evaluate.js'
import { Renderer } from '../naive/render.js'
import { type Item, itemText, type Value } from '../naive/values.js'
import type { Answer, Backend } from './backend.js'
import { batchRequest, queryRequest, scanRequest, transactRequest, writeRequest } from './requests.js'
import type { Step } from './steps.js'
import type { ModelTable, Outcome, Write } from './table.js'

/** What an answer says, or a throw with the answer in it. */
function bodyOf(answer: Answer): Answer['body'] {
  if (answer.error !== undefined) throw new Error(`${answer.error}: ${answer.message}`)
  return answer.body
}

const found = (item: unknown): string => itemText(item as Item | undefined)

function checkWrite(request: readonly [string, object], answer: Answer, outcome: Outcome, isIndexed: boolean): void {
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
    // What indexes cost is not the model's business.
    const { CapacityUnits } = answer.body.ConsumedCapacity as { CapacityUnits: number }
    if (isIndexed) expect(CapacityUnits).toBeGreaterThanOrEqual(outcome.units)
    else expect(CapacityUnits).toBe(outcome.units)
  }
}

/** A transaction is done, or cancelled for the reasons that its writes have; of one that was done before nothing is expected. */
function checkTransaction(request: readonly [string, object], answer: Answer, outcomes: readonly Outcome[]): void {
  const about = JSON.stringify(request)
  if (outcomes.every(({ is }) => is === 'done')) {
    expect([about, answer.error, answer.message]).toEqual([about, undefined, undefined])
    return
  }
  expect([about, answer.error]).toEqual([about, 'TransactionCanceledException'])
  const reasons = answer.body.CancellationReasons as { Code: string; Item?: Item }[]
  const codes = { done: 'None', failed: 'ConditionalCheckFailed', refused: 'ValidationError' }
  expect(reasons.map(({ Code }) => Code)).toEqual(outcomes.map(({ is }) => codes[is]))
}

/** Whether a write changes its item. */
const changes = (outcome: Outcome): boolean => outcome.is === 'done' && found(outcome.before) !== found(outcome.after)

/** Takes steps on a table of the backend and on the model, and holds the answers against each other. */
export class Run {
  readonly #backend: Backend
  readonly #table: ModelTable
  readonly #random: Random
  #tokens = 0

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
        return checkWrite(
          request,
          await this.#backend.ask(...request),
          table.apply(step.write),
          table.indexes.length > 0,
        )
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
      case 'transact':
        return this.#transact(step)
      case 'transactGet':
        return this.#transactGet(step)
      case 'index':
        return this.#index(step)
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

  async #transact({ writes, isRepeated, crash }: Extract<Step, { do: 'transact' }>): Promise<void> {
    const token = isRepeated ? `token-${this.#tokens++}` : undefined
    const request = transactRequest(this.#table, writes, token, this.#random)
    let answer: Answer | undefined
    if (crash) [answer] = await this.#backend.crash([request], crash)
    else answer = await this.#backend.ask(...request)
    if (answer) {
      checkTransaction(request, answer, this.#table.transact(writes))
      // Done once, however often it is sent; a transaction that was cancelled is looked at again.
      if (isRepeated) checkTransaction(request, await this.#backend.ask(...request), this.#again(writes, answer))
    } else {
      const changed = writes.filter((write) => changes(this.#table.outcome(write)))
      const done = await Promise.all(changed.map((write) => this.#isDone(write)))
      expect(new Set(done).size).toBeLessThanOrEqual(1)
      if (done[0]) this.#table.transact(writes)
    }
    for (const { key } of writes) await this.#get({ do: 'get', key })
  }

  #again(writes: readonly Write[], answer: Answer): readonly Outcome[] {
    return answer.error === undefined ? [] : this.#table.transact(writes)
  }

  async #transactGet({ keys, projection }: Extract<Step, { do: 'transactGet' }>): Promise<void> {
    const TransactItems = keys.map((Key) => {
      const renderer = new Renderer(this.#random)
      const text = projection && renderer.projection(projection)
      const get = { TableName: this.#table.name, Key, ...renderer.placeholders }
      return { Get: text ? { ...get, ProjectionExpression: text } : get }
    })
    const body = bodyOf(await this.#backend.ask('TransactGetItems', { TransactItems }))
    const items = (body.Responses as { Item?: Item }[]).map(({ Item }) => found(Item))
    const wanted = keys.map((key) => {
      const item = this.#table.get(key)
      return found(item && projection ? select(projection, item) : item)
    })
    expect(items).toEqual(wanted)
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

  async #index(step: Extract<Step, { do: 'index' }>): Promise<void> {
    const { indexes, name } = this.#table
    const index = indexes[step.index % Math.max(1, indexes.length)]
    if (index === undefined) return
    const wanted = this.#table.entries(index, step.hash)
    const request = { TableName: name, IndexName: index.name, ...(step.limit ? { Limit: step.limit } : {}) }
    const query = {
      KeyConditionExpression: '#h = :h',
      ExpressionAttributeNames: { '#h': index.hash },
      ExpressionAttributeValues: { ':h': step.hash },
      ScanIndexForward: !step.reverse,
    }
    const { items, scanned } = await (step.hash
      ? this.#pages('Query', { ...request, ...query }, step.limit, wanted.length)
      : this.#pages('Scan', request, step.limit, wanted.length))
    expect(scanned).toBe(wanted.length)
    expect(items.map(itemText).sort()).toEqual(wanted.map(itemText).sort())
    const { range } = index
    if (step.hash === undefined || range === undefined) return
    // Those of one range key come in an order of the daemon's.
    const heights = (each: readonly Item[]) => each.map((item) => itemText({ h: item[range] as Value }))
    expect(heights(items)).toEqual(heights(step.reverse ? [...wanted].reverse() : wanted))
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
      if (answer) {
        const request = requests[i] as readonly [string, object]
        checkWrite(request, answer, this.#table.outcome(write), this.#table.indexes.length > 0)
      }
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
