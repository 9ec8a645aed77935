SELECT p.patient_id, p.name, p.ward, p.ssn,
       { 'name': p.relative.name, 'phone': p.relative.phone } AS relative,
       p.practice,
       { 'insurer': i.name, 'plan': i.plan,
         -- Families share a policy, and its holder is the relative.
         'holder': { 'name': p.relative.name, 'ssn': p.relative.ssn } } AS insurance,
       (SELECT list({ 'visit_id': v.visit_id, 'seen_at': v.seen_at, 'diagnosis': v.diagnosis, 'cost': v.cost }
                    ORDER BY v.visit_id)
        FROM visits v WHERE v.patient_id = p.patient_id) AS visits
FROM patients p JOIN insurers i USING (insurer_id)
WHERE p.patient_id = $patient_id
