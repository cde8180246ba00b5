// What scenarios of dashboards share: entries to find, dashboards to look at, ways around the page.
export const TAG = `dash${process.pid}`;
export const HOSTILE = '<img src=x onerror="globalThis.pwned = 1">';

let ingested = false;
export function ingestSome(cluster) {
    if (ingested) {
        return;
    }
    ingested = true;
    const now = Date.now();
    cluster.ingest(
        TAG,
        Array.from({ length: 600 }, (_, i) =>
            JSON.stringify({
                time: new Date(now - i * 4000).toISOString(),
                host: `web${i % 3}`,
                status: [200, 200, 304, 404, 500][(i * 7) % 5],
                ms: 40 + ((i * 37) % 160),
            }),
        ),
    );
}

export const tile = (id, title, query, x, y, col, row, more = {}) => ({
    search: { alias: title, query },
    tile: { id, title, renderer: 'text', span: { col, row, x, y }, ...more },
});

export function dataOf(tiles, more = {}) {
    return {
        searches: tiles.map((one) => one.search),
        tiles: tiles.map((one, searchesIndex) => ({ ...one.tile, searchesIndex })),
        timeframe: { durationString: 'PT1H', timeframe: 'PT1H' },
        version: 2,
        ...more,
    };
}

export const SHOWCASE = [
    tile(1, 'Requests', `tag=${TAG} json host | stats count | numbercard count`, 0, 0, 3, 5),
    tile(
        2,
        'Latency by host',
        `tag=${TAG} json host ms | stats mean(ms) by host over 1m | chart mean by host`,
        3,
        0,
        9,
        9,
        { renderer: 'areachart' },
    ),
    tile(3, 'Errors', `tag=${TAG} json status | eval status >= 500`, 0, 5, 3, 4, {
        renderer: 'number',
    }),
    tile(
        4,
        'Slowest',
        `tag=${TAG} json host status ms | sort by ms desc | limit 50 | table host status ms`,
        0,
        9,
        5,
        9,
    ),
    tile(
        5,
        'By status',
        `tag=${TAG} json status | stats count by status over 1m | chart count by status`,
        5,
        9,
        4,
        9,
        { renderer: 'columnchart' },
    ),
    tile(6, 'Entries', `tag=${TAG}`, 9, 9, 3, 9),
];

export async function make(cluster, token, name, data, more = {}) {
    const id = await cluster.call(cluster.webservers[0], 'POST', '/api/dashboards', token, {
        Name: name,
        Description: '',
        Data: data,
        UID: 0,
        GIDs: null,
        Global: false,
        ...more,
    });
    return Number(id);
}

export async function stored(cluster, token, id, webserver = 0) {
    return JSON.parse(
        await cluster.call(cluster.webservers[webserver], 'GET', `/api/dashboards/${id}`, token),
    );
}

export async function show(page, id, view = '') {
    await page.evaluate((hash) => (location.hash = hash), `#/dashboards/${id}${view}`);
    await page.getByRole('heading', { level: 1 }).waitFor();
}

export const tileOf = (page, title) => page.getByRole('region', { name: title, exact: true });

/** Every tile in view has found what it shows. */
export async function settled(page) {
    await page.locator('.tile').first().waitFor();
    await page.waitForFunction(() =>
        [...document.querySelectorAll('.tile')].every((tile) => {
            const view = tile.closest('.scroll').getBoundingClientRect();
            const { top, bottom } = tile.getBoundingClientRect();
            const seen = bottom > view.top + 1 && top < view.bottom - 1;
            return (
                !(seen && tile.querySelector('.spin')) && tile.getAttribute('aria-busy') === 'false'
            );
        }),
    );
}

export async function menu(page, of, item) {
    await page.getByRole('button', { name: of, exact: true }).click();
    await page.getByRole('button', { name: item, exact: true }).click();
}
