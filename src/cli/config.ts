import type { Command } from 'commander'
import { leaves, shownValue, valueAt } from '../config/index.js'
import { globals, loadFor } from './client.js'
import { printDone, printList } from './output.js'

export function registerConfig(program: Command): void {
  const config = program.command('config').description('the configuration')
  config
    .command('show', { isDefault: true })
    .description('what is in force and where each value comes from')
    .action((_options: object, command: Command) => {
      const { config: inForce, sources, file } = loadFor(globals(command))
      const rows = leaves.map((leaf) => {
        const source = sources.get(leaf.path)
        const place = source === 'file' ? file : source === 'environment' ? leaf.variable : undefined
        const value = valueAt(inForce, leaf.path)
        return { setting: leaf.path, value: source === 'default' ? value : shownValue(leaf, value), source, place }
      })
      const shown = rows.map(({ setting, value, source, place }) => ({
        setting,
        value: JSON.stringify(value),
        from: place === undefined ? source : `${source} (${place})`,
      }))
      printList('settings', rows, shown, globals(command).json)
    })
  config
    .command('check')
    .description('check file, environment and flags; every fault is named, and the exit code is 2 when there is one')
    .action((_options: object, command: Command) => {
      const { file } = loadFor(globals(command))
      printDone(`the configuration is valid${file ? ` (${file})` : ''}`, { valid: true, file }, globals(command).json)
    })
}
