import { test } from 'vitest'
import { checkTwoDaemons } from './running-regions.js'

test('two daemons over mutual TLS: cut, delayed, one killed; equal afterwards', () =>
  checkTwoDaemons({ items: 50, rounds: 6 }))
