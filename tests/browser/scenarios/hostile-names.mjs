// Hostile names of what is not made by a form alone: files, extractors, tokens.
import assert from 'node:assert/strict';
import { tokenOf } from '../lib/cluster.mjs';

const NAME = '<img src=x onerror="globalThis.pwned=1">"\'><script>globalThis.pwned=1</script>';
const FOREIGN = 'script, img, iframe, [onerror], a[href^="javascript"]';

export const scenarios = {
    async hostile_names_of_files_extractors_and_tokens_are_text(tabs, cluster) {
        const mark = `n${Date.now()} `;
        const page = await tabs.login(cluster.webservers[0], { hash: '#/files' });
        const token = await tokenOf(page);
        const call = (method, path, json) =>
            cluster.call(cluster.webservers[0], method, path, token, json);
        const made = await call('POST', '/api/autoextractors', {
            Name: mark + NAME,
            Tag: 'hostile',
            Module: 'csv',
            Params: `a, "${NAME.replaceAll('"', '')}"`,
            Desc: NAME,
        });
        const key = await call('POST', '/api/tokens', {
            name: mark + NAME,
            desc: NAME,
            capabilities: ['Search'],
        });
        await page.getByRole('button', { name: 'Upload' }).click();
        await page.getByLabel('File', { exact: true }).setInputFiles({
            name: `${mark}${NAME.replaceAll('/', '')}.csv`,
            mimeType: 'text/html',
            buffer: Buffer.from(`${NAME},b\n${NAME},2\n`),
        });
        await page.getByRole('button', { name: 'Save', exact: true }).click();
        await page.getByRole('dialog').waitFor({ state: 'detached' });

        for (const hash of ['files', 'extractors', 'account']) {
            await page.evaluate((to) => (location.hash = to), `#/${hash}`);
            const named = page.getByText(mark).first();
            await named.waitFor();
            assert.ok((await named.innerText()).includes('<img'), `${hash}: shown as text`);
            assert.equal(await page.locator('main').locator(FOREIGN).count(), 0, hash);
            if (hash !== 'account') {
                await named.click();
                await page.getByRole('dialog').waitFor();
                assert.equal(await page.getByRole('dialog').locator(FOREIGN).count(), 0, hash);
                await page.keyboard.press('Escape');
                await page.getByRole('dialog').waitFor({ state: 'detached' });
            }
        }
        assert.equal(await page.evaluate(() => globalThis.pwned), undefined);
        await call('DELETE', `/api/autoextractors/${JSON.parse(made)}`);
        await call('DELETE', `/api/tokens/${JSON.parse(key).id}`);
    },
};
