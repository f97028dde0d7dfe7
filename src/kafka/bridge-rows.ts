import { Family } from '../commit/index.js'
import { MillraceError } from '../runtime/index.js'
import type { BridgeRecord } from './bridge.js'
import type { IntakeRecord } from './intake/intake.js'
import { isIntakeRequest } from './intake/options.js'

/** Of bridges out, and of bridges in, which older versions do not know. */
const rowVersion = 1
const intakeRowVersion = 2

/** `bridge`: family, name in UTF-8 -> version u8, JSON of the bridge's record. */
export const bridgeKey = (name: string): Buffer => Buffer.concat([Buffer.from([Family.bridge]), Buffer.from(name)])
export const bridgeValue = (record: BridgeRecord | IntakeRecord): Buffer => {
  const version = isIntakeRecord(record) ? intakeRowVersion : rowVersion
  return Buffer.concat([Buffer.from([version]), Buffer.from(JSON.stringify(record))])
}
export const isIntakeRecord = (record: BridgeRecord | IntakeRecord): record is IntakeRecord =>
  isIntakeRequest(record.options)

/** Throws DATA_DIR_NEWER. */
export function recordOf(value: Buffer): BridgeRecord | IntakeRecord {
  if (value[0] !== rowVersion && value[0] !== intakeRowVersion)
    throw new MillraceError(
      'DATA_DIR_NEWER',
      `A stored bridge has the row version ${value[0]}; this version of Millrace knows ${intakeRowVersion}.`,
    )
  return JSON.parse(value.toString('utf8', 1)) as BridgeRecord | IntakeRecord
}
