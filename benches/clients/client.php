<?php
$port = getenv('CLIENT_PORT');
$db = new PDO("pgsql:host=127.0.0.1;port=$port;dbname=app@support;user=app", null, null, [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION]);
$one = $db->prepare('SELECT id, name, email FROM people WHERE id = ?');
$one->execute([1]);
if ($one->fetch(PDO::FETCH_NUM) !== [1, 'T*******', null]) exit(1);
$db->beginTransaction();
$add = $db->prepare('INSERT INTO jobs (title) VALUES (:t) RETURNING title');
$add->execute(['t' => 'x']);
if ($add->fetchColumn() !== 'x') exit(2);
$db->rollBack();
try { $db->query('SELECT notes FROM people'); exit(3); } catch (PDOException $e) { if ($e->getCode() !== '42501') exit(4); }
echo PHP_VERSION, "\n";
