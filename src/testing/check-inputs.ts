import { checkMembers, type Members } from '../operators/plan/index.js'
import { MillraceError } from '../runtime/index.js'
import type { KeyAttributeOf, TableKey, TestChange, TestOptions, TestRecord } from './test-inputs.js'

/** Plain JavaScript may give anything. All of these throw BAD_REQUEST. */

const optionMembers: Members<TestOptions> = {
  seed: true,
  shards: true,
  tasks: true,
  now: true,
  tables: true,
  faults: true,
}
const recordMembers: Members<TestRecord> = { key: true, value: true, time: true }
type NameOf<Any> = Any extends unknown ? keyof Any : never
const changeMembers: Readonly<Record<NameOf<TestChange>, true>> = {
  type: true,
  new: true,
  old: true,
  time: true,
  service: true,
}

export function checkOptions(options: TestOptions): void {
  check(options, optionMembers, 'testPipeline')
  const { seed, shards, tasks, now, tables = {}, faults = {} } = options
  for (const [name, key] of Object.entries(tables)) {
    check<TableKey>(key, { hash: true, range: true }, `The key of the table ${name}`)
    for (const attribute of [key?.hash, key?.range])
      if (typeof attribute !== 'string')
        check<Exclude<KeyAttributeOf, string>>(
          attribute,
          { name: true, type: true },
          `A key attribute of the table ${name}`,
        )
  }
  check<typeof faults>(faults, { crash: true, split: true, merge: true }, 'faults of testPipeline')
  if (seed !== undefined && !Number.isFinite(seed)) throw bad(`The seed is ${String(seed)}.`, 'Give a number.')
  for (const [name, many] of Object.entries({ shards, tasks }))
    if (many !== undefined && !(Number.isSafeInteger(many) && many >= 1))
      throw bad(`testPipeline was given ${String(many)} ${name}.`, 'Give a whole number of at least 1.')
  if (now !== undefined && !isTime(now))
    throw bad(`Virtual time cannot begin at ${String(now)}.`, 'Give whole milliseconds since 1970.')
  for (const [name, likely] of Object.entries(faults))
    if (!(typeof likely === 'number' && likely >= 0 && likely <= 1))
      throw bad(`The fault ${name} is as likely as ${String(likely)}.`, 'Give a number from 0 to 1.')
}

export function checkChange(table: string, change: TestChange): void {
  check(change, changeMembers, `A change of the table ${table}`)
  const { type, new: image, old, time } = (change ?? {}) as Partial<Record<'type' | 'new' | 'old' | 'time', unknown>>
  if (type !== 'insert' && type !== 'modify' && type !== 'remove')
    throw bad(
      `The table ${table} was given a change of the type ${String(type)}.`,
      "Push { type: 'insert', new }, { type: 'modify', new, old } or { type: 'remove', old }.",
    )
  const wanted = { new: type === 'remove' ? {} : image, old: type === 'insert' ? {} : old }
  for (const [name, item] of Object.entries(wanted))
    if (typeof item !== 'object' || item === null)
      throw bad(`A change of the type ${type} of the table ${table} has no ${name} item.`, 'Give it as a plain object.')
  checkTime(table, time)
}

export function checkRecord(source: string, record: TestRecord): void {
  const isRecord = typeof record === 'object' && record !== null && 'value' in record
  if (!isRecord) throw bad(`${source} was given something that is no record.`, 'Push { key, value, time? }.')
  check(record, recordMembers, `A record of ${source}`)
  const { key, time } = record as Partial<Record<'key' | 'time', unknown>>
  if (key !== undefined && typeof key !== 'string')
    throw bad(`${source} was given a record whose key is a ${typeof key}.`, 'Keys of streams are texts.')
  checkTime(source, time)
}

/** What a record's body is; a value of undefined is null. */
export function jsonOfRecord(source: string, value: unknown): string {
  try {
    return JSON.stringify(value) ?? 'null'
  } catch (error) {
    throw bad(`${source} was given a value that has no JSON: ${(error as Error).message}.`, 'Push plain data.')
  }
}

export function checkComparison(options: object): void {
  check(options, { sink: true, isOrdered: true }, 'expectSameAs')
}

const check = <Options>(given: object | undefined, known: Members<Options>, where: string): void =>
  checkMembers(given, known, where, bad)

function checkTime(source: string, time: unknown): void {
  if (time !== undefined && !isTime(time))
    throw bad(`${source} was given the time ${String(time)}.`, 'Give whole milliseconds since 1970.')
}

const isTime = (time: unknown): boolean => Number.isSafeInteger(time) && (time as number) >= 0

const bad = (message: string, remedy: string): MillraceError => new MillraceError('BAD_REQUEST', message, { remedy })
