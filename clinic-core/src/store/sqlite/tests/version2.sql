-- What a store of version 2 holds that was stopped at work: bookings of every status, in 2100, with their jobs and notices.
INSERT INTO booking (id, status, reason, patient_id, doctor_id, start_at, end_at, timezone, language, email, attempts,
                     created_at, decide_by, decided_at, job) VALUES
    -- Nobody has looked at it; its message is on the way.
    (x'00000000000000000000000000000001', 'pending', NULL, 'PAC1', 'DOC1', 4102444800000, 4102446600000, 'UTC', 'en', 'a@b.example', 0,
     1000, 4102444800000, NULL, x'00000000000000000000000000000011'),
    -- Its worker is gone.
    (x'00000000000000000000000000000002', 'pending', NULL, 'PAC2', 'DOC1', 4102446600000, 4102448400000, 'UTC', 'es', NULL, 1,
     1000, 4102444800000, NULL, x'00000000000000000000000000000012'),
    -- Decided, and not told yet.
    (x'00000000000000000000000000000003', 'confirmed', NULL, 'PAC3', 'DOC1', 4102448400000, 4102450200000, 'UTC', 'es', NULL, 1,
     1000, 4102444800000, 2000, x'00000000000000000000000000000013'),
    -- Told on one channel, given up on another.
    (x'00000000000000000000000000000004', 'rejected', 'unavailable', 'PAC4', 'DOC1', 4102450200000, 4102452000000, 'UTC', 'es', NULL, 1,
     1000, 4102444800000, 2000, x'00000000000000000000000000000014'),
    -- Confirmed and cancelled; the confirmation was overtaken and the cancellation is to be sent again.
    (x'00000000000000000000000000000005', 'cancelled', NULL, 'PAC5', 'DOC1', 4102452000000, 4102453800000, 'UTC', 'es', NULL, 1,
     1000, 4102444800000, 2000, x'00000000000000000000000000000015'),
    -- Given up, on the desk.
    (x'00000000000000000000000000000006', 'rejected', 'availability_unreachable', 'PAC6', 'DOC1', 4102453800000, 4102455600000, 'UTC', 'es',
     NULL, 4, 1000, 4102444800000, 2000, x'00000000000000000000000000000016');

INSERT INTO job (id, kind, booking, event_seq, attempt, token, worker, lease_until, due_at, next_look, by_message) VALUES
    (x'00000000000000000000000000000011', 'decide', x'00000000000000000000000000000001', NULL, 1, NULL, NULL, NULL, 1000, 4000000000000, 0),
    (x'00000000000000000000000000000012', 'decide', x'00000000000000000000000000000002', NULL, 2,
     x'00000000000000000000000000000099', 'gone', 2000, 1000, 2000, 1),
    (x'00000000000000000000000000000023', 'tell', x'00000000000000000000000000000003', 3, 1, NULL, NULL, NULL, 2000, 2000, 0);

INSERT INTO timeline (booking, seq, at, kind, attempt, worker, code) VALUES
    (x'00000000000000000000000000000002', 2, 1500, 'attempt', 1, 'gone', 'transient'),
    (x'00000000000000000000000000000003', 2, 2000, 'attempt', 1, 'w', 'available'),
    (x'00000000000000000000000000000003', 3, 2000, 'confirmed', NULL, NULL, NULL),
    (x'00000000000000000000000000000004', 2, 2000, 'attempt', 1, 'w', 'unavailable'),
    (x'00000000000000000000000000000004', 3, 2000, 'rejected', NULL, NULL, 'unavailable'),
    (x'00000000000000000000000000000005', 2, 2000, 'attempt', 1, 'w', 'available'),
    (x'00000000000000000000000000000005', 3, 2000, 'confirmed', NULL, NULL, NULL),
    (x'00000000000000000000000000000005', 4, 2500, 'cancelled', NULL, NULL, NULL),
    (x'00000000000000000000000000000006', 2, 2000, 'attempt', 4, 'w', 'transient'),
    (x'00000000000000000000000000000006', 3, 2000, 'rejected', NULL, NULL, 'availability_unreachable');

INSERT INTO notice (booking, event_seq, channel, id, job, state, tries, code, receipt, seq, settled_at, due_at, next_look) VALUES
    (x'00000000000000000000000000000004', 3, 'log', x'00000000000000000000000000000041', x'00000000000000000000000000000024',
     'sent', 0, NULL, 'r-1', 4, 2100, NULL, NULL),
    (x'00000000000000000000000000000004', 3, 'email', x'00000000000000000000000000000042', x'00000000000000000000000000000024',
     'failed', 8, 'smtp_refused', NULL, 5, 2200, NULL, NULL),
    (x'00000000000000000000000000000005', 3, 'log', x'00000000000000000000000000000051', x'00000000000000000000000000000025',
     'skipped', 1, 'superseded', NULL, 5, 2600, NULL, NULL),
    (x'00000000000000000000000000000005', 4, 'log', x'00000000000000000000000000000052', x'00000000000000000000000000000026',
     'pending', 1, 'busy', NULL, NULL, NULL, 3000, 3000);

INSERT INTO dead_letter (booking, kind, code, attempts, notice, at) VALUES
    (x'00000000000000000000000000000004', 'notice', 'smtp_refused', 8, x'00000000000000000000000000000042', 2200),
    (x'00000000000000000000000000000006', 'decide', 'availability_unreachable', 4, NULL, 2000);
