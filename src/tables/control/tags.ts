import type { Catalogue, Table } from '../catalogue/catalogue.js'
import type { TableRow } from '../catalogue/table-row.js'
import { validation } from '../requests/aws-error.js'
import { Constraints, type Input, list, text } from '../requests/request.js'
import { type Home, resourceArnNotFound, taggedTable } from './table-arns.js'
import type { Tag } from './table-details.js'
import { refuseBusy, statusOf } from './table-status.js'

export const tagsMax = 50
const keyLengthMax = 128
const valueLengthMax = 256
/** Tags in one answer of ListTagsOfResource. */
const pageTagsMax = 10
/** Letters, white space, digits and some signs: what AWS takes in keys and values. */
const allowed = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u

/** TagResource, UntagResource, ListTagsOfResource. The first two answer with an empty body. */
export class TagOperations {
  readonly #catalogue: Catalogue
  readonly #home: Home
  readonly #now: () => number

  constructor(catalogue: Catalogue, home: Home, now: () => number) {
    this.#catalogue = catalogue
    this.#home = home
    this.#now = now
  }

  async tag(input: Input): Promise<Buffer> {
    const arn = text(input, 'ResourceArn')
    const name = taggedTable(arn, this.#home)
    requireList(input, 'Tags', 'tags')
    const tags = readTags(input)
    if (tags.length === 0) throw validation('Atleast one Tag needs to be provided as Input.')
    await this.#change(arn as string, name, (before) => mergeTags(before, tags))
    return Buffer.alloc(0)
  }

  async untag(input: Input): Promise<Buffer> {
    const arn = text(input, 'ResourceArn')
    const name = taggedTable(arn, this.#home)
    requireList(input, 'TagKeys', 'tagKeys')
    const keys = (list(input, 'TagKeys') ?? []) as readonly (string | null)[]
    if (keys.length === 0) throw validation('Atleast one Tag Key needs to be provided as Input.')
    for (const key of keys) checkKey(key)
    await this.#change(arn as string, name, (before) => before.filter(({ Key }) => !keys.includes(Key)))
    return Buffer.alloc(0)
  }

  /** Pages of ten, as AWS has them; the token is the last key of the page before. */
  async list(input: Input): Promise<object> {
    const arn = text(input, 'ResourceArn')
    const name = taggedTable(arn, this.#home)
    const { row } = this.#table(arn as string, name)
    const tags = [...(row.details?.tags ?? [])].sort((a, b) => (a.Key < b.Key ? -1 : 1))
    const token = text(input, 'NextToken')
    const start = token === undefined ? undefined : Buffer.from(token, 'base64').toString()
    const left = start === undefined ? tags : tags.filter(({ Key }) => Key > start)
    const page = left.slice(0, pageTagsMax)
    const last = page[page.length - 1]
    return {
      Tags: page,
      ...(left.length > pageTagsMax && last ? { NextToken: Buffer.from(last.Key).toString('base64') } : {}),
    }
  }

  #table(arn: string, name: string): Table {
    const table = this.#catalogue.get(name)
    if (!table || statusOf(table.row, this.#now()) === 'DELETING') throw resourceArnNotFound(arn)
    return table
  }

  async #change(arn: string, name: string, change: (before: readonly Tag[]) => readonly Tag[]): Promise<void> {
    const { row: now } = this.#table(arn, name)
    if (statusOf(now, this.#now()) === 'CREATING') refuseBusy(now, this.#now())
    await this.#catalogue.change(name, (row) => {
      const tags = change(row.details?.tags ?? [])
      return { ...row, details: withTags(row, tags) }
    })
  }
}

function withTags(row: TableRow, tags: readonly Tag[]): NonNullable<TableRow['details']> {
  const { tags: _, ...rest } = row.details ?? {}
  return tags.length > 0 ? { ...rest, tags } : rest
}

function requireList(input: Input, name: string, member: string): void {
  const constraints = new Constraints()
  constraints.check((input[name] ?? undefined) !== undefined, member, undefined, 'Member must not be null')
  constraints.done()
}

/** The tags of CreateTable and TagResource, checked. */
export function readTags(input: Input): readonly Tag[] {
  const given = (list(input, 'Tags') ?? []) as readonly (Partial<Tag> | null)[]
  const tags = given.map((tag) => {
    const Key = checkKey(tag?.Key ?? null)
    const Value = tag?.Value ?? null
    if (Value === null || [...Value].length > valueLengthMax || !allowed.test(Value))
      throw validation(`The Tag Value provided is invalid, Value: ${Value}`)
    return { Key, Value }
  })
  const seen = new Set<string>()
  for (const { Key } of tags) {
    if (seen.has(Key)) throw validation(`Duplicate Tag Keys provided as input: Duplicate Tag Key found ${Key}`)
    seen.add(Key)
  }
  refuseTooMany(tags)
  return tags
}

function checkKey(key: string | null): string {
  if (key === null || key === '' || [...key].length > keyLengthMax || !allowed.test(key))
    throw validation(`The Tag Key provided is invalid, Key: ${key}`)
  if (/^aws:/i.test(key)) throw validation(`Tag Key cannot be prefixed with aws:, Key: ${key}`)
  return key
}

/** A tag with a key that is there replaces its value. */
function mergeTags(before: readonly Tag[], added: readonly Tag[]): readonly Tag[] {
  const merged = new Map(before.map((tag) => [tag.Key, tag]))
  for (const tag of added) merged.set(tag.Key, tag)
  const tags = [...merged.values()]
  refuseTooMany(tags)
  return tags
}

function refuseTooMany(tags: readonly Tag[]): void {
  if (tags.length > tagsMax) throw validation('Number of Tags exceed the current limit for the provided ResourceArn')
}
