package mail

func englishCanceled(v view) said {
	s := said{
		Subject:   "Canceled: " + englishAbout(v),
		Preheader: "Canceled on " + v.Date + ". There is nothing for you to do.",
		Badge:     "Canceled", Tone: "grey",
		Heading: "The letter was canceled",
	}
	how := "The letter of authorization was canceled on " + v.Date + "."
	if v.Declined {
		s.Subject, s.Badge, s.Tone = "Declined: "+englishAbout(v), "Declined", "red"
		s.Preheader = "Declined on " + v.Date + ". There is nothing for you to do."
		s.Heading = "The letter was declined"
		how = "The person who was asked to sign the letter of authorization declined on " + v.Date + "."
	}
	return englishEnded(v, s, how)
}

func englishFailed(v view) said {
	s := said{
		Subject:   "Not signed: " + englishAbout(v),
		Preheader: "Ended on " + v.Date + ". There is nothing for you to do.",
		Badge:     "Not signed", Tone: "red",
		Heading: "The letter was not signed",
	}
	how := "The letter of authorization could not be signed, and ended on " + v.Date + "."
	if v.Expired {
		s.Subject, s.Badge, s.Tone = "Expired: "+englishAbout(v), "Expired", "amber"
		s.Preheader = "Expired on " + v.Date + ". There is nothing for you to do."
		s.Heading = "The letter has expired"
		how = "The letter of authorization was not signed in time, and expired on " + v.Date + "."
	}
	return englishEnded(v, s, how)
}

// englishEnded is what the mails about a letter that ended unsigned have in common.
func englishEnded(v view, s said, how string) said {
	s.Body = []paragraph{
		{Text: how + " It can no longer be signed, and the messaging of " + englishNumbers(v) + " will not be hosted by it. Voice service stays where it is."},
		{"There is nothing for you to do.", "You are on copy."},
	}
	s.Facts = append(englishList(v), is("Asked to sign", v.Role), v.day("Ended on", v.Date))
	if v.Reason != "" {
		s.Facts = append(s.Facts, is("Reason", v.Reason))
	}
	if v.Person != "" {
		s.Facts = append(s.Facts, is("Right person, they say", v.Person))
	}
	return s
}

func spanishCanceled(v view) said {
	s := said{
		Subject:   "Cancelada: " + spanishAbout(v),
		Preheader: "Cancelada el " + v.Date + ". No tiene que hacer nada.",
		Badge:     "Cancelada", Tone: "grey",
		Heading: "La carta fue cancelada",
	}
	how := "La carta de autorización fue cancelada el " + v.Date + "."
	if v.Declined {
		s.Subject, s.Badge, s.Tone = "Rechazada: "+spanishAbout(v), "Rechazada", "red"
		s.Preheader = "Rechazada el " + v.Date + ". No tiene que hacer nada."
		s.Heading = "La carta fue rechazada"
		how = "Quien debía firmar la carta de autorización la rechazó el " + v.Date + "."
	}
	return spanishEnded(v, s, how)
}

func spanishFailed(v view) said {
	s := said{
		Subject:   "Sin firmar: " + spanishAbout(v),
		Preheader: "Terminó el " + v.Date + ". No tiene que hacer nada.",
		Badge:     "Sin firmar", Tone: "red",
		Heading: "La carta quedó sin firmar",
	}
	how := "La carta de autorización no se pudo firmar, y terminó el " + v.Date + "."
	if v.Expired {
		s.Subject, s.Badge, s.Tone = "Caducada: "+spanishAbout(v), "Caducada", "amber"
		s.Preheader = "Caducada el " + v.Date + ". No tiene que hacer nada."
		s.Heading = "La carta está caducada"
		how = "La carta de autorización no se firmó a tiempo, y caducó el " + v.Date + "."
	}
	return spanishEnded(v, s, how)
}

// spanishEnded is what the mails about a letter that ended unsigned have in common.
func spanishEnded(v view, s said, how string) said {
	s.Body = []paragraph{
		{Text: how + " Ya no se puede firmar, y con ella no se alojarán los mensajes " + spanishNumbers(v) + ". El servicio de voz no cambia."},
		{"No tiene que hacer nada.", "Recibe esta copia para su información."},
	}
	s.Facts = append(spanishList(v), is("Debía firmar", v.Role), v.day("Terminó el", v.Date))
	if v.Reason != "" {
		s.Facts = append(s.Facts, is("Motivo", v.Reason))
	}
	if v.Person != "" {
		s.Facts = append(s.Facts, is("Persona indicada, según dice", v.Person))
	}
	return s
}
