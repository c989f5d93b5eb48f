-- A page of a journal is found without walking through it, and what became of one person or one group without looking at
-- every step there ever was. A step is named kind/object or kind/group/object: the first index finds the last part of a
-- name, the second the one in the middle.
CREATE INDEX journal_not_done ON journal (run, seq, outcome) WHERE outcome <> 'done';
CREATE INDEX journal_by_last ON journal (replace(step, rtrim(step, replace(step, '/', '')), ''), at, run, seq);
CREATE INDEX journal_by_middle ON journal (replace(rtrim(rtrim(step, replace(step, '/', '')), '/'),
    rtrim(rtrim(rtrim(step, replace(step, '/', '')), '/'), replace(rtrim(rtrim(step, replace(step, '/', '')), '/'), '/', '')),
    ''), at, run, seq);
