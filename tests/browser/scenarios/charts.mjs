// Pictures that queries end in: each is drawn, says in figures what it shows, and is kept as a
// screenshot.
import assert from 'node:assert/strict';
import { DESKTOP, PHONE, search } from '../lib/browser.mjs';
import { eventually } from '../lib/cluster.mjs';

const STATUS = [200, 200, 200, 304, 404, 500];
const PLACES = ['50.1 14.4', '48.2 16.4', '40.7 -74.0', '-33.9 151.2', '35.7 139.7'];
const HOSTILE = '<img src=x onerror=alert(1)>';

const TAG = `drawn${process.pid}`; /* a cluster may have been drawn before */
let ingested = false;
function ingestSome(cluster) {
    if (ingested) {
        return;
    }
    ingested = true;
    const now = Date.now();
    cluster.ingest(
        TAG,
        Array.from({ length: 600 }, (_, i) => {
            const time = new Date(now - i * 4000).toISOString();
            const host = i % 50 === 0 ? HOSTILE : `web${i % 3}`;
            return JSON.stringify({
                time,
                status: STATUS[(i * 7) % 6],
                host,
                peer: `db${i % 2}`,
                ms: 40 + ((i * 37) % 160),
                place: PLACES[i % 5],
                there: PLACES[(i + 2) % 5],
            });
        }),
    );
}

const QUERIES = {
    chart: 'json status ms | stats mean(ms) by status over 1m | chart mean by status',
    stackgraph: 'json status host | stats count by host status | stackgraph host status count',
    gauge: 'json ms | stats mean(ms) max(ms) | gauge (mean 0 200) (max 0 200)',
    numbercard: 'json ms | stats mean(ms) count | numbercard mean count',
    wordcloud: 'json status | stats count by status | wordcloud count by status',
    pointmap: 'json place host | pointmap -loc place host',
    point2point: 'json place there host | point2point -srcloc place -dstloc there host',
    fdg: 'json host peer | fdg host peer',
};

/** Whether the canvas holds more than one colour. */
function isDrawn(page) {
    return page
        .locator('.chart canvas')
        .first()
        .evaluate((canvas) => {
            const copy = document.createElement('canvas');
            copy.width = canvas.width;
            copy.height = canvas.height;
            const context = copy.getContext('2d', { willReadFrequently: true });
            context.drawImage(canvas, 0, 0);
            const { data } = context.getImageData(0, 0, copy.width, copy.height);
            const colours = new Set();
            for (let i = 0; i < data.length && colours.size < 8; i += 4) {
                colours.add(`${data[i]},${data[i + 1]},${data[i + 2]},${data[i + 3]}`);
            }
            return colours.size >= 4;
        });
}

async function drawn(page, renderer) {
    if (renderer === 'numbercard' || renderer === 'wordcloud') {
        return;
    }
    await page.locator('.chart canvas').first().waitFor();
    await eventually(`${renderer} is drawn`, () => isDrawn(page));
}

async function figures(page) {
    await page.getByRole('button', { name: 'Figures' }).click();
    const text = await page.getByRole('region', { name: 'Figures' }).innerText();
    await page.getByRole('button', { name: 'Figures' }).click();
    return text;
}

async function all(tabs, cluster, name, options) {
    ingestSome(cluster);
    const page = await tabs.login(cluster.webservers[0], options);
    for (const [renderer, query] of Object.entries(QUERIES)) {
        await search(page, `tag=${TAG} ${query}`, 'Last hour');
        await page.getByRole('region', { name: 'Chart' }).waitFor();
        await drawn(page, renderer);
        await tabs.shot(page, `${name}-${renderer}`);
    }
    return page;
}

export const scenarios = {
    async what_a_query_ends_in_is_drawn(tabs, cluster) {
        await all(tabs, cluster, 'light', { scheme: 'light', viewport: DESKTOP });
    },

    async pictures_are_drawn_in_the_dark_and_on_a_phone(tabs, cluster) {
        await all(tabs, cluster, 'dark', { scheme: 'dark', viewport: DESKTOP });
        await all(tabs, cluster, 'phone', { scheme: 'light', viewport: PHONE });
    },

    async ten_thousand_series_are_drawn_in_part_and_said_to_be(tabs, cluster) {
        ingestSome(cluster);
        const page = await tabs.login(cluster.webservers[0]);
        const Names = Array.from({ length: 10_000 }, (_, i) => `series ${i} ${HOSTILE}`);
        const Values = Array.from({ length: 20 }, (_, at) => ({
            TS: new Date(Date.now() - at * 60_000).toISOString(),
            Data: Names.map((_, i) => (i * at) % 97),
        }));
        await page.route(/\/renderer\/chart\?/, async (route) => {
            const response = await route.fetch();
            const json = { ...(await response.json()), Entries: { Names, Values } };
            await route.fulfill({ response, json });
        });
        await search(page, `tag=${TAG} ${QUERIES.chart}`, 'Last hour');
        await page.getByText('The first 200 of 10000 series.').waitFor();
        await drawn(page, 'chart');
        await tabs.shot(page, 'chart-10000-series');
    },

    async a_chart_has_kinds_and_figures(tabs, cluster) {
        ingestSome(cluster);
        const page = await tabs.login(cluster.webservers[0]);
        await search(page, `tag=${TAG} ${QUERIES.chart}`, 'Last hour');
        for (const kind of ['Area', 'Stacked', 'Bars', 'Pie', 'Line']) {
            await page.getByRole('button', { name: kind, exact: true }).click();
            await drawn(page, 'chart');
        }
        const text = await figures(page);
        assert.match(text, /^Time\t.*200/m);
        assert.match(text, /\d{4}-\d\d-\d\d \d\d:\d\d:00/);
        await search(page, `tag=${TAG} ${QUERIES.numbercard}`, 'Last hour');
        assert.match(await figures(page), /count\t600/);
        await search(page, `tag=${TAG} ${QUERIES.fdg}`, 'Last hour');
        assert.ok((await figures(page)).includes(HOSTILE), 'hostile text is text');
    },
};
