import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import type { BackupManifest } from '../backup/index.js'
import type { Config } from '../config/index.js'
import { createLogger, MillraceError, systemClock } from '../runtime/index.js'
import { Client, globals, loadFor } from './client.js'
import { printDone } from './output.js'
import { Progress } from './progress.js'

export function registerBackup(program: Command): void {
  program
    .command('backup <folder>')
    .description('copy the whole data directory and verify the copy, while the daemon of this machine runs')
    .option('--offline', 'no daemon runs: copy the directory that --data names')
    .action(async (folder: string, options: { offline?: boolean }, command: Command) => {
      const target = resolve(folder)
      const staged = options.offline ? await stageOffline(target, command) : await stageOnline(target, command)
      const { finishBackup } = await import('../backup/index.js')
      const progress = new Progress('verifying', undefined, 'MiB')
      const { path, manifest } = await finishBackup(staged.folder, (bytes) =>
        progress.update(bytes, inMiB(bytes)),
      ).finally(() => progress.stop())
      printDone(`${path} holds ${said(manifest)}`, { backup: path, ...shown(manifest) }, globals(command).json)
    })

  program
    .command('restore <folder>')
    .description('make the data directory that --data names from a backup, checking every byte; it must not exist yet')
    .action(async (folder: string, _options: object, command: Command) => {
      const { config } = loadFor(globals(command))
      const { copyBackup, readManifest } = await import('../backup/index.js')
      const progress = new Progress('restoring', bytesOf(readManifest(folder)), 'MiB')
      const manifest = await copyBackup(folder, config.dataDir, (bytes) =>
        progress.update(bytes, inMiB(bytes)),
      ).finally(() => progress.stop())
      await checkRestored(config, manifest)
      const target = resolve(config.dataDir)
      printDone(`${target} holds ${said(manifest)}`, { restored: target, ...shown(manifest) }, globals(command).json)
    })
}

async function stageOnline(target: string, command: Command): Promise<{ folder: string }> {
  return await new Client(globals(command)).call<{ folder: string }>('POST', 'backup', { target })
}

/** The store is opened as a daemon does it, so that nobody else has it meanwhile. */
async function stageOffline(target: string, command: Command): Promise<{ folder: string }> {
  const { withStore } = await import('../daemon/index.js')
  const { stageBackup } = await import('../backup/index.js')
  const { config } = loadFor(globals(command))
  if (!existsSync(config.dataDir)) {
    throw new MillraceError('NOT_FOUND', `There is no data directory ${config.dataDir}.`, {
      remedy: 'Name one with --data.',
    })
  }
  return withStore(config, createLogger(config.logLevel), ({ commit }, directory) =>
    stageBackup({ directory, target, commit, clock: systemClock }),
  )
}

/** The first opening, which raises the epoch, and a look whether everything is there. */
async function checkRestored(config: Config, manifest: BackupManifest): Promise<void> {
  const { withStore } = await import('../daemon/index.js')
  const { countRows } = await import('../backup/index.js')
  const rows = await withStore(config, createLogger(config.logLevel), ({ storage }) => countRows(storage))
  const wrong = Object.keys(manifest.rows).find((family) => rows[family] !== manifest.rows[family])
  if (wrong === undefined) return
  const [is, was] = [rows[wrong] ?? 0, manifest.rows[wrong]]
  throw new MillraceError(
    'BACKUP_DAMAGED',
    `What was restored has ${is} rows of the family ${wrong} in place of ${was}.`,
  )
}

const inMiB = (bytes: number): number => Math.floor(bytes / 2 ** 20)
const bytesOf = ({ files }: BackupManifest): number => files.reduce((sum, file) => sum + file.bytes, 0)

const said = (manifest: BackupManifest): string => {
  const { commit, sequence, files, rows } = manifest
  const count = Object.values(rows).reduce((sum, more) => sum + more, 0)
  return `commit ${commit}, sequence number ${sequence}: ${count} rows in ${files.length} files, ${bytesOf(manifest)} bytes`
}

const shown = (manifest: BackupManifest): object => {
  const { commit, sequence, storeId, epoch, rows, files } = manifest
  return { commit, sequence, storeId, epoch, rows, files: files.length, bytes: bytesOf(manifest) }
}
