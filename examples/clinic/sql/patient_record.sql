SELECT p.patient_id, p.name, p.ward, p.ssn,
       { 'insurer': i.name, 'plan': i.plan } AS insurance,
       (SELECT list({ 'visit_id': v.visit_id, 'seen_at': v.seen_at, 'diagnosis': v.diagnosis, 'cost': v.cost }
                    ORDER BY v.visit_id)
        FROM visits v WHERE v.patient_id = p.patient_id) AS visits
FROM patients p JOIN insurers i USING (insurer_id)
WHERE p.patient_id = $patient_id
