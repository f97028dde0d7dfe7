import type { TableRow } from '../catalogue/table-row.js'
import { inUse } from '../requests/aws-error.js'

export type TableStatus = 'CREATING' | 'UPDATING' | 'ACTIVE' | 'DELETING'

/** What a table's description says that it is at a time (milliseconds since 1970). */
export function statusOf({ state, details }: Pick<TableRow, 'state' | 'details'>, now: number): TableStatus {
  if (state === 'deleting') return 'DELETING'
  const busy = details?.busy
  return busy && now < busy.until ? busy.with : 'ACTIVE'
}

const stillInUse = 'Attempt to change a resource which is still in use: '

/** Throws ResourceInUseException while a table takes no change. */
export function refuseBusy(row: TableRow, now: number): void {
  const status = statusOf(row, now)
  if (status === 'CREATING') throw inUse(`${stillInUse}Table is being created: ${row.name}`)
  if (status === 'UPDATING') throw inUse(`${stillInUse}Table is being updated: ${row.name}`)
  if (status === 'DELETING') throw inUse(`${stillInUse}Table is being deleted: ${row.name}`)
}

/** The same for a deletion, which AWS has other words for. */
export function refuseDeletion(row: TableRow, now: number): void {
  if (statusOf(row, now) === 'UPDATING')
    throw inUse(`${stillInUse}Table: ${row.name} is in the process of being updated.`)
  refuseBusy(row, now)
}
