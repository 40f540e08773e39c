(() => {
  const form = document.getElementById('sign');
  if (!form) return;
  try { form.elements.zone.value = Intl.DateTimeFormat().resolvedOptions().timeZone || ''; } catch {}
  const box = document.getElementById('draw'), canvas = box.querySelector('canvas'), pen = canvas.getContext('2d');
  const drawn = form.elements.drawn;
  let down = false;
  box.hidden = false;
  pen.lineWidth = 4;
  pen.lineCap = pen.lineJoin = 'round';
  if (drawn.value) {
    const before = new Image();
    before.onload = () => pen.drawImage(before, 0, 0);
    before.src = drawn.value;
  }
  const at = (e) => {
    const r = canvas.getBoundingClientRect();
    return [(e.clientX - r.left) * canvas.width / r.width, (e.clientY - r.top) * canvas.height / r.height];
  };
  canvas.addEventListener('pointerdown', (e) => {
    down = true;
    try { canvas.setPointerCapture(e.pointerId); } catch {}
    pen.beginPath();
    pen.moveTo(...at(e));
    e.preventDefault();
  });
  canvas.addEventListener('pointermove', (e) => {
    if (!down) return;
    pen.lineTo(...at(e));
    pen.stroke();
  });
  const up = () => {
    if (down) drawn.value = canvas.toDataURL('image/png');
    down = false;
  };
  canvas.addEventListener('pointerup', up);
  canvas.addEventListener('pointercancel', up);
  document.getElementById('clear').addEventListener('click', () => {
    pen.clearRect(0, 0, canvas.width, canvas.height);
    drawn.value = '';
  });
})();
