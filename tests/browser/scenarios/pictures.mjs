// Pictures of every page, to be looked at: light, dark, and on a phone.
import assert from 'node:assert/strict';
import { DESKTOP, editor, logIn, PHONE, rows, search } from '../lib/browser.mjs';

const LINES = [
    (i) =>
        `192.0.2.${i % 250} - ann "GET /shop/item/${(i * 7) % 1000} HTTP/1.1" ${i % 17 ? 200 : 500} ${(i * 37) % 9000}`,
    (i) =>
        `{"level":"${i % 5 ? 'info' : 'warn'}","ms":${i % 300},"user":"bob","path":"/cart/${i}"}`,
    (i) =>
        `sshd[${300 + (i % 900)}]: Failed password for root from 203.0.113.${i % 200} port ${4000 + (i % 999)} ssh2`,
];

let ingested = false;
function ingestSome(cluster) {
    if (ingested) {
        return;
    }
    ingested = true;
    const now = Date.now();
    for (const [tag, line] of [
        ['web', LINES[0]],
        ['shop', LINES[1]],
        ['auth', LINES[2]],
    ]) {
        const lines = Array.from({ length: 400 }, (_, i) => {
            const age = 3_300_000 * ((i * 0.618) % 1) ** 1.3;
            return `${new Date(now - age).toISOString()} ${line(i)}`;
        });
        cluster.ingest(tag, lines);
    }
}

async function pictures(tabs, cluster, name, options) {
    ingestSome(cluster);
    const page = await tabs.open(cluster.webservers[0], options);
    await page.getByLabel('User name').waitFor();
    await tabs.shot(page, `${name}-login`);
    await logIn(page);
    await page.getByRole('button', { name: 'Later' }).click();
    await page.getByRole('heading', { name: 'What is here' }).waitFor();
    await tabs.shot(page, `${name}-start`);
    await editor(page).pressSequentially('tag=web,s');
    await page.getByRole('listbox').waitFor();
    await tabs.shot(page, `${name}-suggestions`);
    await page.keyboard.press('Escape');
    await search(page, 'tag=web,shop,auth grep -v "HTTP/1.1\\" 500"', 'Last hour');
    await rows(page).first().waitFor();
    await tabs.shot(page, `${name}-results`);
    const run = await page.locator('.controls button').last().boundingBox();
    assert.ok(run.x + run.width <= options.viewport.width, 'the last button is in the window');
    await rows(page).nth(2).click();
    await page.getByLabel('Entry', { exact: true }).waitFor();
    await page.getByRole('button', { name: 'Bytes' }).scrollIntoViewIfNeeded();
    await tabs.shot(page, `${name}-entry`);
    await page.getByRole('button', { name: /^Time range/ }).click();
    await tabs.shot(page, `${name}-range`);
    await page.keyboard.press('Escape');
    await page.getByRole('link', { name: 'History' }).click();
    await page.locator('li .query').first().waitFor();
    await tabs.shot(page, `${name}-history`);
}

export const scenarios = {
    async pictures_in_light(tabs, cluster) {
        await pictures(tabs, cluster, 'light', { scheme: 'light', viewport: DESKTOP });
    },

    async pictures_in_dark(tabs, cluster) {
        await pictures(tabs, cluster, 'dark', { scheme: 'dark', viewport: DESKTOP });
    },

    async pictures_on_a_phone(tabs, cluster) {
        await pictures(tabs, cluster, 'phone', { scheme: 'light', viewport: PHONE });
    },
};
