import { test } from 'vitest'
import { checkTwoDaemons } from './running-regions.js'

test(
  'two daemons over mutual TLS: cut again and again, delayed, one killed; equal afterwards',
  () => checkTwoDaemons({ items: 2_000, rounds: 100 }),
  3_600_000,
)
