import { Family } from '../../commit/index.js'
import { type Clock, sleep } from '../../runtime/index.js'
import { type Backfills, withBackfill, withoutBackfill, withRemoval } from '../catalogue/backfill.js'
import type { Catalogue, Table } from '../catalogue/catalogue.js'
import type { TableRow } from '../catalogue/table-row.js'
import { requestedTable } from '../control/requested-table.js'
import { statusOf } from '../control/table-status.js'
import { tablePrefix } from '../items/item-row.js'
import { inUse, validation } from '../requests/aws-error.js'
import { Constraints, flag, type Input, object, text } from '../requests/request.js'
import { expiryJob } from './expiry-row.js'

const attributeLengthMax = 255
/** How long an answer waits for the items that there are to be looked through: few are, before it is given. */
const settleMs = 1000

export interface TimeToLiveOptions {
  readonly catalogue: Catalogue
  readonly backfills: Backfills
  readonly clock: Clock
  /** Time that must lie between two changes; 0 is none. */
  readonly changeMs: number
  /** Called with the number of a table whose time to live was switched. */
  readonly onSwitched: (table: number) => void
}

/** UpdateTimeToLive and DescribeTimeToLive. */
export class TimeToLive {
  readonly #options: TimeToLiveOptions

  constructor(options: TimeToLiveOptions) {
    this.#options = options
  }

  async update(input: Input): Promise<object> {
    const { catalogue, backfills, clock, onSwitched } = this.#options
    const { attribute, isOn } = readSpecification(input)
    const { name } = requestedTable(catalogue, input)
    for (;;) {
      let isRemoving = false
      await catalogue.change(name, (row) => {
        this.#refuse(row, attribute, isOn)
        // New rows must not meet those that are still being removed.
        isRemoving = isOn && isBeingRemoved(row)
        if (isRemoving) return row
        return isOn ? switchedOn(row, attribute, clock.now()) : switchedOff(row, attribute, clock.now())
      })
      const table = catalogue.get(name) as Table
      onSwitched(table.row.id)
      backfills.wake(table)
      const settled = backfills.settled(table)
      await (isRemoving ? settled : Promise.race([settled, sleep(clock, settleMs)]))
      if (!isRemoving) return { TimeToLiveSpecification: { AttributeName: attribute, Enabled: isOn } }
    }
  }

  async describe(input: Input): Promise<object> {
    const row = requestedTable(this.#options.catalogue, input)
    const status = statusOf(row, this.#options.clock.now())
    if (status === 'CREATING' || status === 'DELETING')
      throw validation(
        `Cannot describe time to live while table is in ${status} state: Current table state is ${status}`,
      )
    const attribute = row.expiry?.attribute
    if (attribute === undefined)
      return { TimeToLiveDescription: { TimeToLiveStatus: isBeingRemoved(row) ? 'DISABLING' : 'DISABLED' } }
    const isFilling = row.backfills?.[expiryJob(attribute)] !== undefined
    return {
      TimeToLiveDescription: { TimeToLiveStatus: isFilling ? 'ENABLING' : 'ENABLED', AttributeName: attribute },
    }
  }

  #refuse(row: TableRow, attribute: string, isOn: boolean): void {
    const { clock, changeMs } = this.#options
    const present = row.expiry?.attribute
    if (statusOf(row, clock.now()) === 'CREATING')
      throw inUse(`Attempt to change a resource which is still in use: Table ${row.name} is being created`)
    if (present === undefined && !isOn) throw validation('TimeToLive is already disabled')
    if (present !== undefined && present !== attribute)
      throw validation(`TimeToLive is active on a different AttributeName: current AttributeName is ${present}`)
    if (present !== undefined && isOn) throw validation('TimeToLive is already enabled')
    if (row.expiry && clock.now() - row.expiry.changedAt < changeMs)
      throw validation('Time to live has been modified multiple times within a fixed interval')
  }
}

function switchedOn(row: TableRow, attribute: string, changedAt: number): TableRow {
  return withBackfill({ ...row, expiry: { attribute, changedAt } }, expiryJob(attribute))
}

function switchedOff(row: TableRow, attribute: string, changedAt: number): TableRow {
  const rest = withoutBackfill({ ...row, expiry: { changedAt } }, expiryJob(attribute))
  return withRemoval(rest, tablePrefix(row.id, Family.expiry))
}

const isBeingRemoved = ({ id, removals }: TableRow): boolean =>
  removals?.includes(tablePrefix(id, Family.expiry).toString('hex')) ?? false

function readSpecification(input: Input): { readonly attribute: string; readonly isOn: boolean } {
  const constraints = new Constraints()
  const given = object(input, 'TimeToLiveSpecification')
  const member = 'timeToLiveSpecification'
  constraints.check(given !== undefined, member, undefined, 'Member must not be null')
  const attribute = given && text(given, 'AttributeName')
  const isOn = given && flag(given, 'Enabled')
  if (given) {
    const place = `${member}.attributeName`
    constraints.check(attribute !== undefined, place, undefined, 'Member must not be null')
    constraints.check(attribute !== '', place, attribute, 'Member must have length greater than or equal to 1')
    constraints.check(
      (attribute?.length ?? 0) <= attributeLengthMax,
      place,
      attribute,
      `Member must have length less than or equal to ${attributeLengthMax}`,
    )
    constraints.check(isOn !== undefined, `${member}.enabled`, undefined, 'Member must not be null')
  }
  constraints.done()
  return { attribute: attribute as string, isOn: isOn as boolean }
}
