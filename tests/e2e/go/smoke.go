// SPDX-License-Identifier: Apache-2.0

// Go's amqp091-go.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func check(true bool, what string) {
	if !true {
		log.Fatal("not so: ", what)
	}
	fmt.Println("ok:", what)
}

func next(deliveries <-chan amqp.Delivery) amqp.Delivery {
	select {
	case delivery := <-deliveries:
		return delivery
	case <-time.After(10 * time.Second):
		log.Fatal("no delivery came in time")
	}
	panic("unreachable")
}

func nextConfirm(confirms <-chan amqp.Confirmation) amqp.Confirmation {
	select {
	case confirm := <-confirms:
		return confirm
	case <-time.After(10 * time.Second):
		log.Fatal("no confirm came in time")
	}
	panic("unreachable")
}

func main() {
	log.SetFlags(0)
	url := os.Getenv("AMQP_URL")
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	connection, err := amqp.Dial(url)
	must(err)
	channel, err := connection.Channel()
	must(err)
	must(channel.Confirm(false))
	// Not PublishWithDeferredConfirm: version 1.5.0 registers a message after sending it, and misses a quick confirm.
	confirms := channel.NotifyPublish(make(chan amqp.Confirmation, 100))
	exchange := fmt.Sprintf("x-%d", time.Now().UnixNano())
	must(channel.ExchangeDeclare(exchange, "topic", false, true, false, false, nil))
	queue, err := channel.QueueDeclare("", false, false, true, false, nil)
	must(err)
	must(channel.QueueBind(queue.Name, "org.#", exchange, false, nil))
	must(channel.Qos(5, 0, false))
	deliveries, err := channel.Consume(queue.Name, "", false, false, false, false, nil)
	must(err)

	headers := amqp.Table{"text": "a", "number": int32(5), "flag": true, "list": []interface{}{int64(1), "b"}}
	for n := 0; n < 20; n++ {
		must(channel.PublishWithContext(ctx, exchange, "org.example", true, false,
			amqp.Publishing{Headers: headers, Body: []byte(fmt.Sprint(n)), DeliveryMode: amqp.Persistent}))
		if confirmed := nextConfirm(confirms); !confirmed.Ack || confirmed.DeliveryTag != uint64(n+1) {
			log.Fatal("not confirmed: ", confirmed)
		}
	}
	for n := 0; n < 20; n++ {
		delivery := next(deliveries)
		if string(delivery.Body) != fmt.Sprint(n) || fmt.Sprint(delivery.Headers) != fmt.Sprint(headers) {
			log.Fatalf("%s %v", delivery.Body, delivery.Headers)
		}
		must(delivery.Ack(false))
	}
	fmt.Println("ok: 20 messages are published, confirmed, delivered and acknowledged")

	returns := channel.NotifyReturn(make(chan amqp.Return, 1))
	must(channel.PublishWithContext(ctx, exchange, "com.example", true, false, amqp.Publishing{Body: []byte("x")}))
	returned := <-returns
	check(returned.ReplyCode == amqp.NoRoute && returned.RoutingKey == "com.example", "what nobody wants comes back")

	must(channel.PublishWithContext(ctx, "", queue.Name, false, false, amqp.Publishing{Body: []byte("again")}))
	first := next(deliveries)
	must(first.Reject(true))
	second := next(deliveries)
	check(second.Redelivered && string(second.Body) == "again", "what is rejected is delivered again")
	must(second.Ack(false))

	closed := channel.NotifyClose(make(chan *amqp.Error, 1))
	_, err = channel.QueueDeclarePassive("absent", false, false, false, false, nil)
	check(err != nil && (<-closed).Code == amqp.NotFound, "a missing queue closes the channel with 404")

	another, err := connection.Channel()
	must(err)
	check(another.Flow(false) != nil, "flow cannot be stopped")

	_, err = amqp.Dial(strings.Replace(url, "guest:guest", "guest:wrong", 1))
	check(err != nil && err.(*amqp.Error).Code == amqp.AccessRefused, "a wrong password is refused")
	connection.Close()
}
