package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Who publishes.
const (
	desk    = "/loa-desk"       // where documents are written
	signing = "/e-sign"         // where they are signed
	hosting = "/number-hosting" // the order service
)

// account is a reseller whose customers' numbers are hosted.
type account struct {
	name     string
	domain   string
	prefixes []string // of numbers that are kept for fiction
}

var (
	bright  = account{"Brightline Voice", "brightline.example.net", []string{"+141555501", "+151055501", "+120655501", "+150355501"}}
	harbor  = account{"Harbor Telecom", "harbor-telecom.example.net", []string{"+121255501", "+161755501", "+120255501", "+130555501"}}
	kestrel = account{"Kestrel Communications", "kestrel.example.org", []string{"+442079460", "+441614960", "+441214960"}}
	rhein   = account{"Rheinfunk", "rheinfunk.example.net", []string{"+493023125", "+492214710", "+33199001"}}
)

// browsers is what signers sign with.
var browsers = []string{
	"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0",
	"Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.1 Mobile/15E148 Safari/604.1",
	"Mozilla/5.0 (Linux; Android 16; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Mobile Safari/537.36",
}

// script is the day: when, for which account, who signs, of which customer,
// how many orders, how many in cc, and what happens.
var script = []struct {
	at          string // UTC
	account     account
	name, title string
	customer    string
	orders, ccs int
	scene       scene
}{
	{"08:02", bright, "Laura Castellano", "Practice owner", "meridian-dental.example.com", 2, 2, live},
	{"08:04", bright, "Marcus Okafor", "Owner", "okafor-auto.example.com", 1, 0, signs},
	{"08:07", harbor, "Denise Kowalczyk", "Office manager", "bayview-law.example.org", 4, 3, recalled},
	{"08:09", kestrel, "Oliver Pemberton", "Director", "pemberton-surveyors.example.com", 2, 1, signs},
	{"08:12", rhein, "Jürgen Weiß", "Geschäftsführer", "weiss-haustechnik.example.net", 3, 2, live},
	{"08:15", bright, "Elena Vasquez", "Operations manager", "tidewater-logistics.example.com", 12, 4, signs},
	{"08:18", harbor, "Samuel Brandt", "Partner", "brandt-cpa.example.com", 1, 1, outran},
	{"08:21", kestrel, "Fiona McAllister", "Practice manager", "thistle-vets.example.org", 2, 2, echoed},
	{"08:24", rhein, "Chloé Lefèvre", "Gérante", "atelier-lefevre.example.net", 1, 0, signs},
	{"08:26", bright, "Grace Nakamura", "Clinic director", "lakeside-pediatrics.example.org", 3, 2, edited},
	{"08:29", harbor, "Anthony Russo", "Owner", "russo-plumbing.example.com", 2, 0, live},
	{"08:33", harbor, "Monique Baptiste", "Controller", "crescent-freight.example.com", 5, 3, signs},
	{"08:36", bright, "Walter Hoffmann", "Facilities lead", "pinecrest-schools.example.org", 8, 5, signs},
	{"08:40", kestrel, "Aisha Rahman", "Owner", "saffron-kitchen.example.com", 1, 1, declines},
	{"08:43", rhein, "Katharina Vogel", "Inhaberin", "baeckerei-vogel.example.org", 1, 0, hasty},
	{"08:46", bright, "Trevor Lindqvist", "IT manager", "northgate-realty.example.com", 6, 2, recalled},
	{"08:50", harbor, "Rosa Delgado", "Administrator", "delgado-imaging.example.org", 2, 1, typo},
	{"08:53", kestrel, "Harriet Cole", "Bursar", "ashdown-college.example.org", 9, 4, signs},
	{"08:57", rhein, "Matthieu Girard", "Directeur technique", "girard-transports.example.com", 4, 2, troubled},
	{"09:01", bright, "Priscilla Owens", "Owner", "owens-florals.example.net", 1, 1, waiting},
	{"09:05", harbor, "Kenneth Adeyemi", "Managing partner", "adeyemi-wealth.example.com", 2, 2, signerInCC},
	{"09:09", bright, "Naomi Feldman", "Executive director", "cedar-shelter.example.org", 3, 1, signs},
	{"09:14", kestrel, "Gareth Llewellyn", "Owner", "llewellyn-cycles.example.com", 1, 0, live},
	{"09:18", rhein, "Stefan Brückner", "Prokurist", "brueckner-optik.example.com", 2, 2, edited},
	{"09:23", harbor, "Yvonne Thibodeaux", "Office manager", "bayou-orthodontics.example.com", 2, 3, unreachable},
	{"09:27", bright, "Derek Sandoval", "Owner", "sandoval-roofing.example.net", 1, 1, signs},
	{"09:32", bright, "Hannah Petersen", "Property manager", "alder-apartments.example.com", 7, 2, live},
	{"09:36", kestrel, "Nikhil Desai", "Company secretary", "desai-pharmacy.example.org", 3, 2, recalled},
	{"09:41", harbor, "Bridget O'Malley", "Owner", "omalley-pub.example.com", 1, 0, lost},
	{"09:45", rhein, "Annette Schuster", "Praxisleitung", "praxis-schuster.example.org", 1, 1, signs},
	{"09:50", bright, "Calvin Whitmore", "Vice president", "whitmore-insurance.example.com", 4, 4, ccTwice},
	{"09:54", harbor, "Ingrid Solheim", "Director of operations", "solheim-seafood.example.com", 3, 2, signs},
	{"09:59", harbor, "Victor Almeida", "Owner", "almeida-towing.example.net", 2, 0, lateEcho},
	{"10:05", kestrel, "Charlotte Whitby", "Head of estates", "whitby-hospice.example.org", 5, 3, edited},
	{"10:10", rhein, "Thomas Lindner", "Kaufmännischer Leiter", "lindner-maschinenbau.example.com", 6, 2, live},
	{"10:16", bright, "Jasmine Porter", "Owner", "porter-yoga.example.com", 1, 0, givenUp},
	{"10:21", bright, "Robert Ishikawa", "Chief of staff", "harborlight-church.example.org", 2, 1, lateEdit},
	{"10:27", harbor, "Patricia Nguyen", "Practice manager", "sunrise-optometry.example.com", 2, 2, signs},
	{"10:32", kestrel, "Alistair Grant", "Managing director", "grant-distillers.example.com", 4, 1, doubleBooked},
	{"10:38", rhein, "Émile Fournier", "Président", "fournier-vins.example.net", 2, 1, signs},
	{"10:44", bright, "Leticia Morales", "Store manager", "morales-hardware.example.com", 1, 1, held},
	{"10:49", harbor, "Frank Dombrowski", "Owner", "dombrowski-hvac.example.com", 3, 1, live},
	{"10:55", bright, "Simone Archer", "Office administrator", "archer-architects.example.com", 3, 2, withdrawn},
	{"11:02", kestrel, "Imogen Hartley", "Partner", "hartley-solicitors.example.com", 5, 4, signs},
	{"11:08", rhein, "Ralf Zimmermann", "Geschäftsführer", "zimmermann-reisen.example.com", 2, 1, recalled},
	{"11:15", harbor, "Curtis Boateng", "Program director", "riverside-ymca.example.org", 2, 2, signs},
	{"11:21", bright, "Melanie Strand", "Owner", "strand-bakery.example.net", 1, 0, greylisted},
	{"11:28", kestrel, "Rupert Ainsworth", "Operations director", "ainsworth-coaches.example.com", 3, 3, declinesThenSigns},
	{"11:34", harbor, "Tamara Volkov", "Owner", "volkov-ballet.example.org", 1, 1, waiting},
	{"11:41", bright, "Daniel Eriksen", "Network engineer", "cascade-credit-union.example.com", 10, 3, signs},
	{"11:48", rhein, "Sabine Krämer", "Filialleitung", "kraemer-buecher.example.org", 1, 2, ccTwice},
	{"11:55", harbor, "Gloria Simmons", "Church secretary", "grace-chapel.example.org", 1, 1, echoed},
	{"12:10", bright, "Omar Haddad", "Owner", "haddad-imports.example.com", 2, 1, live},
	{"12:24", kestrel, "Saoirse Quinn", "Practice manager", "quinn-dental.example.com", 2, 2, edited},
	{"12:37", bright, "Beverly Chang", "Purchasing lead", "evergreen-nursery.example.net", 2, 0, scribble},
	{"12:51", harbor, "Joseph Marchetti", "President", "marchetti-concrete.example.com", 4, 2, signs},
	{"13:04", rhein, "Delphine Marchand", "Responsable administrative", "clinique-marchand.example.org", 3, 3, recalled},
	{"13:16", bright, "Raymond Tuttle", "Owner", "tuttle-storage.example.com", 2, 1, takenBack},
	{"13:29", kestrel, "Benedict Shaw", "Owner", "shaw-joinery.example.com", 1, 0, signs},
	{"13:42", harbor, "Adriana Popescu", "Clinic manager", "popescu-physio.example.com", 2, 1, signs},
	{"13:55", bright, "Wesley Grant", "IT director", "summit-outfitters.example.com", 5, 2, neverSent},
	{"14:08", rhein, "Holger Petersen", "Inhaber", "petersen-yachten.example.com", 1, 1, live},
	{"14:21", kestrel, "Zara Hussain", "Managing director", "hussain-lettings.example.com", 3, 2, signerInCC},
	{"14:35", harbor, "Louis Fontaine", "Owner", "fontaine-jazz.example.net", 1, 0, declines},
	{"14:48", bright, "Carmen Iglesias", "Office manager", "iglesias-immigration.example.org", 2, 2, edited},
	{"15:02", rhein, "Dieter Baumann", "Betriebsleiter", "baumann-muehle.example.net", 2, 1, givenUp},
	{"15:17", harbor, "Shanice Clarke", "General manager", "clarke-catering.example.com", 2, 2, lateEcho},
	{"15:33", kestrel, "Edmund Fairfax", "Trustee", "fairfax-gallery.example.org", 1, 1, waiting},
	{"15:50", bright, "Julia Brennan", "Owner", "brennan-books.example.com", 1, 1, signs},
	{"16:12", harbor, "Theodore Vance", "Managing partner", "vance-partners.example.com", 3, 2, held},
	{"16:40", rhein, "Marlene Hoffstadt", "Geschäftsführerin", "hoffstadt-logistik.example.com", 4, 2, waiting},
}

// play plays the script.
func play() *day {
	d := &day{documents: map[string]*expectation{}, ids: map[string]int{}, numbers: map[string]int{}, announced: map[string]bool{}}
	for i, s := range script {
		at, err := time.Parse(time.DateTime, "2026-11-23 "+s.at+":00")
		must(err)
		prefix := s.account.prefixes[i%len(s.account.prefixes)]
		doc := &document{
			day: d, account: s.account, sid: sid("PX", s.customer), customer: s.customer,
			name: s.name, title: s.title, email: mailbox(s.name, s.customer), phone: d.number(prefix),
			sidsOnly: i%3 == 1, clock: at,
		}
		for n := range s.orders {
			doc.orders = append(doc.orders, order{sid("HR", fmt.Sprintf("%s %d", s.customer, n)), d.number(prefix)})
		}
		doc.cc = slices.Clip(copied(s.account, s.customer)[:s.ccs])
		s.scene(doc)
	}
	return d
}

// copied is who may be in cc of a customer's documents.
func copied(a account, customer string) []string {
	return []string{
		"numbers@" + a.domain, "office@" + customer, "it@" + customer, "accounts@" + customer, "legal@" + customer,
	}
}

// mailbox is a person's address.
func mailbox(name, domain string) string {
	return spell.Replace(strings.ToLower(name)) + "@" + domain
}

// spell writes a name in the letters of an address.
var spell = strings.NewReplacer(" ", ".", "'", "", "é", "e", "è", "e", "ä", "ae", "ö", "oe", "ü", "ue", "ß", "ss")
