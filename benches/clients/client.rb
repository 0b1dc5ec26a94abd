require 'pg'
db = PG.connect(host: '127.0.0.1', port: ENV['CLIENT_PORT'], user: 'app', dbname: 'app', options: '-c pgpurpose.purpose=support')
row = db.exec_params('SELECT id, name, email FROM people WHERE id = $1', [1])[0]
raise row.to_s unless row == { 'id' => '1', 'name' => 'T*******', 'email' => nil }
db.prepare('add', 'INSERT INTO jobs (title) VALUES ($1) RETURNING title')
db.transaction { |c| raise 'no row' unless c.exec_prepared('add', ['x'])[0]['title'] == 'x'; c.exec('DELETE FROM jobs') }
begin
  db.exec('SELECT notes FROM people')
  raise 'not refused'
rescue PG::InsufficientPrivilege
end
db.copy_data('COPY (SELECT name FROM people ORDER BY id) TO STDOUT') { raise 'not masked' unless db.get_copy_data.start_with?('T*'); while db.get_copy_data; end }
puts PG::VERSION
