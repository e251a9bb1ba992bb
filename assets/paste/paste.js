/* A long text that is pasted into a text area is put there at once. Laid out as it is typed, letter by letter for the undo of the
   browser, 100,000 emoji stop the page for seven seconds. */
(() => {
const LONG = 20000;
document.addEventListener('paste', event => {
  const area = event.target, text = event.clipboardData?.getData('text/plain') ?? '';
  if (!(area instanceof HTMLTextAreaElement) || area.readOnly || text.length < LONG) return;
  event.preventDefault();
  area.setRangeText(text, area.selectionStart, area.selectionEnd, 'end');
  area.dispatchEvent(new InputEvent('input', {bubbles: true, inputType: 'insertFromPaste'}));
});
})();
