// What axe finds wrong with a page for those who do not see it, or see it badly.
import fs from 'node:fs';
import { createRequire } from 'node:module';

const AXE = fs.readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** A line for each violation; `inside` is a selector, `impacts` those that count (all, if none). */
export async function findings(page, where, { inside, impacts } = {}) {
    if (!(await page.evaluate(() => 'axe' in globalThis))) {
        await page.evaluate(AXE);
    }
    const result = await page.evaluate(
        (selector) =>
            globalThis.axe.run(selector ? document.querySelector(selector) : document, {
                resultTypes: ['violations'],
            }),
        inside,
    );
    return result.violations
        .filter((one) => impacts?.includes(one.impact) ?? true)
        .map((one) => {
            const nodes = one.nodes.map((node) => `${node.html} ${node.failureSummary}`);
            return `${where}: ${one.id} (${one.impact}): ${nodes.join('; ')}`;
        });
}

export const SERIOUS = ['serious', 'critical'];
