import type { Command } from 'commander'
import { leaves, valueAt } from '../config/index.js'
import { globals, loadFor } from './client.js'
import { note, printJson, printList } from './output.js'

export function registerConfig(program: Command): void {
  const config = program.command('config').description('the configuration')
  config
    .command('show', { isDefault: true })
    .description('what is in force and where each value comes from')
    .action((_options: object, command: Command) => {
      const options = globals(command)
      const loaded = loadFor(options)
      const rows = leaves.map((leaf) => ({
        setting: leaf.path,
        value: valueAt(loaded.config, leaf.path),
        from: loaded.sources.get(leaf.path),
      }))
      printList(
        'settings',
        rows,
        rows.map((row) => ({ ...row, value: JSON.stringify(row.value) })),
        options.json,
      )
    })
  config
    .command('check')
    .description('check file, environment and flags')
    .action((_options: object, command: Command) => {
      const loaded = loadFor(globals(command))
      if (globals(command).json) printJson({ valid: true, file: loaded.file })
      else note(`the configuration is valid${loaded.file ? ` (${loaded.file})` : ''}`)
    })
}
