export { type Asset, consoleAsset, consoleHeaders } from './assets.js'
