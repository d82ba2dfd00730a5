# Collects by Net::POP3 what is new in a maildrop: PORT stls|tls AUTHORITY LOGIN PASSWORD FOLDER leave|delete.
use strict;
use warnings;
use Net::POP3;

my ($port, $way, $authority, $login, $password, $folder, $after) = @ARGV;
my %known;
if (open my $seen, '<', "$folder/seen") {
  chomp(my @ids = <$seen>);
  @known{@ids} = ();
}
my @trust = (SSL_ca_file => $authority, SSL_verifycn_name => 'localhost');
my @tls = $way eq 'tls' ? (SSL => 1, @trust) : ();
my $pop = Net::POP3->new('127.0.0.1', Port => $port, Timeout => 60, @tls) or die "no connection: $@";
$way eq 'tls' or $pop->starttls(@trust) or die 'STLS: ', $pop->message;
my $count = $pop->login($login, $password);
defined $count or die 'login: ', $pop->message;
my $ids = $pop->uidl or die 'UIDL: ', $pop->message;
my $sizes = $pop->list or die 'LIST: ', $pop->message;
$count == keys %$ids && $count == keys %$sizes or die "$count messages";
for my $number (sort { $a <=> $b } keys %$ids) {
  my $id = $ids->{$number};
  if (!exists $known{$id}) {
    my $lines = $pop->get($number) or die 'RETR: ', $pop->message;
    length(join '', @$lines) == $sizes->{$number} or die "the size of $number";
    open my $file, '>', "$folder/maildir/new/$id" or die $!;
    print $file @$lines;
    close $file or die $!;
    $known{$id} = undef;
  }
  $after eq 'delete' and ($pop->delete($number) or die 'DELE: ', $pop->message);
}
$pop->quit or die 'QUIT: ', $pop->message;
open my $seen, '>', "$folder/seen" or die $!;
print $seen map { "$_\n" } sort keys %known;
close $seen or die $!;
