// Lines that are no JSON: what is in them is there for clicking; what extractors name, too.
import assert from 'node:assert/strict';
import { search, typed } from '../lib/browser.mjs';
import { tokenOf } from '../lib/cluster.mjs';

const fields = (page) => page.getByRole('complementary', { name: 'Fields' });
const found = (page, count) => page.getByText(new RegExp(`^${count} entr(y|ies) in`)).waitFor();

async function only(page, field, value) {
    await fields(page)
        .getByRole('button', { name: new RegExp(`^${field}\\b`) })
        .click();
    await fields(page)
        .getByRole('button', { name: `Only ${field} ${value}`, exact: true })
        .click();
}

export const scenarios = {
    async parts_of_an_access_log_and_of_what_an_extractor_names_are_clicked(tabs, cluster) {
        const [logs, cells] = [`access${process.pid}`, `cells${process.pid}`];
        cluster.ingest(
            logs,
            Array.from(
                { length: 12 },
                (_, i) =>
                    `10.0.0.${i % 3} - - [21/Nov/2025:18:42:3${i % 10} +0000] ` +
                    `"GET /item/${i % 2}?a=b HTTP/1.1" ${i % 4 === 0 ? 404 : 200} 14 "-" "Moz"`,
            ),
        );
        cluster.ingest(
            cells,
            Array.from({ length: 6 }, (_, i) => `2025-11-21 18:42:0${i},4${i},${i % 2}`),
        );
        const page = await tabs.login(cluster.webservers[0]);
        await search(page, `tag=${logs}`);
        await only(page, 'status', '404');
        await found(page, 3);
        await fields(page).getByText('1 value in the first 3 entries').waitFor(); // nothing moves now
        assert.equal(
            await typed(page),
            `tag=${logs} regex \`" (?P<status>\\d{3}) \` status=="404"`,
        );
        await only(page, 'client', '10.0.0.1');
        await found(page, 1);

        // Columns have numbers until somebody names them.
        await search(page, `tag=${cells}`);
        await fields(page).getByText('[2]', { exact: true }).waitFor();
        const token = await tokenOf(page);
        await cluster.call(cluster.webservers[0], 'POST', '/api/autoextractors', token, {
            Name: cells,
            Tag: cells,
            Module: 'csv',
            Params: 'ts, heat, <i>odd</i>',
            Desc: '',
        });
        await page.reload();
        await fields(page).getByRole('button', { name: /^heat/ }).waitFor();
        await only(page, 'heat', '43');
        await found(page, 1);
        assert.equal(await typed(page), `tag=${cells} ax heat=="43"`);
        await tabs.shot(page, 'fields-extracted');
    },
};
